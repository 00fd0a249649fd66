#include "tests/unit/participant_agent/storm_world.h"

#include <algorithm>

namespace troth::agent {
namespace {

constexpr std::size_t kTransactions = 8;
const ResourceName kResource{"pg"};

}  // namespace

StormWorld::StormWorld(std::uint64_t seed) : random_(seed) {
  for (std::size_t i = 0; i < kTransactions; ++i) {
    const bool one_phase = random_.one_in(3);
    Plan plan;
    plan.id = {transaction(5, 10 + i, one_phase ? std::optional(ResourceNumber{3}) : std::nullopt), {1}};
    plan_of_[plan.id] = plans_.size();
    plans_.push_back(plan);
  }
  restart();
}

std::string StormWorld::play(int steps) {
  for (int i = 0; i < steps && problem_.empty(); ++i)
    storm_step();
  if (problem_.empty()) heal();
  return problem_;
}

void StormWorld::broken(const Plan& plan, const std::string& rule) {
  if (problem_.empty()) problem_ = fmt::format("{}: {}", plan.id.transaction.text(), rule);
}

LeaderStamp StormWorld::stamp() const {
  Position watermark{{5}, {10 + kTransactions}};
  for (const auto& plan : plans_) {
    const bool active =
        plan.id.transaction.is_one_phase() ? !plan.acknowledged : plan.fate == Fate::kUndecided;
    if (active) watermark = std::min(watermark, position_of(plan.id.transaction));
  }
  return {{"bank-x7k2p9"}, {{5}, {1}}, watermark};
}

// -- The agent ---------------------------------------------------------------------------------------------

// What was not durable is gone. Every session of the role is ended before the resource is served; until then
// each may still do what it was about to do (attack 2).
void StormWorld::restart() {
  operations_.clear();
  held_.clear();
  journal_.clear();
  ran_.clear();
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const BranchId id = at->first;
    ++at;
    if (random_.one_in(2)) {
      note("zombie went on");
      run_session(id);
    }
  }
  sessions_.clear();
  hostages_.clear();
  JournalState state;
  for (const auto& record : durable_)
    state.apply(record);
  incarnation_ = state.next_incarnation().value;
  durable_.emplace_back(AgentStarted{{incarnation_}});
  TableOptions options;
  options.cluster = {"bank-x7k2p9"};
  options.incarnation = {incarnation_};
  options.resources = {{kResource, DatabaseKind::kPostgres}};
  table_.emplace(options, state, now_);
  hear(ResourceServing{kResource});
  for (const auto& id : prepared_)
    hear(PreparedFound{id, kResource});
  if (random_.one_in(2)) hear(LeaderSpoke{stamp(), {}, {}});
}

void StormWorld::hear(const TableInput& input) {
  for (const auto& effect : table_->step(input, now_)) {
    if (const auto* append = std::get_if<AppendJournal>(&effect)) {
      journal_.push_back(*append);
    } else if (const auto* branch = std::get_if<ForBranch>(&effect)) {
      carry_out(branch->id, branch->effect);
    } else if (const auto* refusal = std::get_if<RefuseCall>(&effect)) {
      // A prepare refused with effect none is a no: the leader may tell it to the client.
      const auto* prepare = std::get_if<PrepareArrived>(&input);
      if (prepare == nullptr || refusal->error.effect != Effect::kNone) continue;
      VoteAnswer answer{Vote::kNo, {}, refusal->error, std::nullopt};
      held_.push_back({prepare->work.id, AnswerVote{answer, refusal->after}, refusal->after});
    }
  }
  release_answers();
}

void StormWorld::carry_out(const BranchId& id, const BranchEffect& effect) {
  const Plan& plan = plans_[plan_of_.at(id)];
  if (const auto* vote = std::get_if<AnswerVote>(&effect)) {
    held_.push_back({id, effect, vote->after});
  } else if (const auto* end = std::get_if<AnswerFinish>(&effect)) {
    held_.push_back({id, effect, end->after});
  } else {
    if (std::holds_alternative<RunWork>(effect) && !ran_.insert(id).second)
      broken(plan, "[T12] the work was begun twice by one start of the agent");
    operations_.push_back({id, effect});
  }
}

// -- The database ------------------------------------------------------------------------------------------

// The server's side of a branch's work runs to its end: begin, marker, statements, prepare or commit.
void StormWorld::run_session(const BranchId& id) {
  if (rows_.contains(id) || prepared_.contains(id)) return;
  if (id.transaction.is_one_phase()) {
    rows_[id] = Row::kCommitted;
    ++commits_[id];
  } else {
    prepared_.insert(id);
  }
}

void StormWorld::carry_operation(std::size_t index) {
  const Operation operation = operations_[index];
  operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(index));
  const BranchId& id = operation.id;
  const auto report = [this, &id](BranchInput input) { hear(BranchReported{id, std::move(input)}); };
  if (std::holds_alternative<RunWork>(operation.effect)) {
    report(SessionBound{{{71}, {1000}}});
    if (rows_.contains(id)) {
      note("marker collided");
      MarkerRow row = marker_of(
          work_for(id), rows_[id] == Row::kCommitted ? MarkerState::kCommitted : MarkerState::kBarred);
      report(WorkFinished{MarkerCollided{{row}}});
    } else if (chance(4)) {
      report(WorkFinished{WorkFailed{error_with(ErrorCode::kStatementFailed)}});
    } else if (chance(3)) {
      note("session lost");
      sessions_[id] = Session{true};
      report(WorkFinished{WorkLost{error_with(ErrorCode::kUnavailable), true}});
    } else {
      run_session(id);
      if (chance(5)) {
        note("answer of the work lost");
        report(WorkFinished{WorkLost{error_with(ErrorCode::kUnavailable), true}});
      } else if (id.transaction.is_one_phase()) {
        report(WorkFinished{WorkCommitted{}});
      } else {
        report(WorkFinished{WorkPrepared{}});
      }
    }
  } else if (std::holds_alternative<EndSession>(operation.effect)) {
    if (sessions_.contains(id) && random_.one_in(2)) {
      note("zombie went on");
      run_session(id);
    }
    sessions_.erase(id);
    std::erase_if(operations_, [&id](const Operation& waiting) {
      return waiting.id == id && std::holds_alternative<RunWork>(waiting.effect);
    });
    report(SessionEnded{});
  } else if (const auto* ending = std::get_if<FinishPrepared>(&operation.effect)) {
    finish(id, ending->commit);
  } else if (std::holds_alternative<InsertBarrier>(operation.effect)) {
    bar(id);
  } else if (std::holds_alternative<ReadMarkers>(operation.effect)) {
    read(id);
  } else if (std::holds_alternative<Inquire>(operation.effect)) {
    const Fate fate = plans_[plan_of_.at(id)].fate;
    if (chance(3)) return;
    hear(InquiryAnswered{stamp(), id,
                         fate == Fate::kCommit  ? GroupDecision::kCommit
                         : fate == Fate::kAbort ? GroupDecision::kAbort
                                                : GroupDecision::kUndecided});
  }
}

void StormWorld::finish(const BranchId& id, bool commit) {
  using Outcome = FinishAttempted::Outcome;
  const auto report = [this, &id](Outcome outcome) {
    hear(BranchReported{id, FinishAttempted{outcome, "lost"}});
  };
  if (chance(5)) return report(Outcome::kFailed);
  if (!prepared_.contains(id)) return report(Outcome::kUnknownXid);
  if (chance(6)) {  // MariaDB: tied to a half-open session, for a while
    note("hostage");
    return report(Outcome::kUnknownXid);
  }
  prepared_.erase(id);
  if (commit) {
    rows_[id] = Row::kCommitted;
    ++commits_[id];
  }
  report(chance(4) ? Outcome::kFailed : Outcome::kDone);
}

void StormWorld::bar(const BranchId& id) {
  using Outcome = BarrierAttempted::Outcome;
  const auto report = [this, &id](Outcome outcome) {
    hear(BranchReported{id, BarrierAttempted{outcome, "waits"}});
  };
  if (chance(5)) return report(Outcome::kUndecided);
  if (rows_.contains(id)) return report(Outcome::kCollided);
  if (prepared_.contains(id) || sessions_.contains(id)) {
    note("barrier had to wait");
    return report(Outcome::kUndecided);
  }
  rows_[id] = Row::kBarred;
  report(chance(4) ? Outcome::kUndecided : Outcome::kCommitted);
}

void StormWorld::read(const BranchId& id) {
  if (chance(5)) {
    hear(BranchReported{id, MarkersRead{std::nullopt}});
    return;
  }
  std::vector<MarkerRow> rows;
  if (rows_.contains(id))
    rows = rows_for(work_for(id), rows_[id] == Row::kCommitted ? "committed" : "barred");
  hear(BranchReported{id, MarkersRead{rows}});
}

// -- What the leader hears ---------------------------------------------------------------------------------

void StormWorld::release_answers() {
  const std::uint64_t last = journal_.empty() ? 0 : journal_.back().ticket.value;
  const std::uint64_t first = journal_.empty() ? last + 1 : journal_.front().ticket.value;
  std::vector<HeldAnswer> still_held;
  for (const auto& answer : held_) {
    const bool waits = !journal_.empty() && answer.after.value >= first;
    if (waits) {
      still_held.push_back(answer);
    } else if (chance(4)) {
      note("answer lost");
    } else {
      deliver(answer);
    }
  }
  held_ = std::move(still_held);
}

void StormWorld::deliver(const HeldAnswer& answer) {
  Plan& plan = plans_[plan_of_.at(answer.id)];
  if (const auto* vote = std::get_if<AnswerVote>(&answer.effect)) on_vote(plan, vote->answer);
  if (const auto* end = std::get_if<AnswerFinish>(&answer.effect)) on_end(plan, end->answer);
}

void StormWorld::on_vote(Plan& plan, const VoteAnswer& answer) {
  const bool committed = rows_.contains(plan.id) && rows_[plan.id] == Row::kCommitted;
  switch (answer.vote) {
    case Vote::kYes: {
      const bool begun = std::ranges::any_of(durable_, [&plan](const JournalRecord& record) {
        const auto* found = std::get_if<BranchBegun>(&record);
        return found != nullptr && found->work.id == plan.id;
      });
      if (!begun) broken(plan, "a yes was told before its redo was durable");
      if (plan.fate == Fate::kUndecided && !prepared_.contains(plan.id))
        broken(plan, "a yes without a prepared branch");
      plan.yes = true;
      return;
    }
    case Vote::kNo:
      if (committed) broken(plan, "[T11] no was told of a committed branch");
      if (plan.id.transaction.is_one_phase()) {
        if (plan.told_done) broken(plan, "[T3] committed was told before");
        plan.told_never = true;  // this is all that the client's answer needs
        plan.acknowledged = true;
      } else if (!plan.yes && plan.fate == Fate::kUndecided) {
        plan.fate = Fate::kAbort;
      }
      return;
    case Vote::kCommitted:
      if (!committed) broken(plan, "[T9] committed was told without a committed marker");
      plan.told_done = true;
      plan.acknowledged = true;
      return;
    case Vote::kAlreadyCommitted:
      if (!committed) broken(plan, "[T9] already committed was told without a committed marker");
      return;
    case Vote::kUndecided:
    case Vote::kReadOnly: return;
  }
}

void StormWorld::on_end(Plan& plan, const FinishAnswer& answer) {
  const bool committed = rows_.contains(plan.id) && rows_[plan.id] == Row::kCommitted;
  if (answer.end == BranchEnd::kCommitted) {
    if (!committed) broken(plan, "[T6] committed was told before it stood in the database");
    const bool learned = std::ranges::any_of(durable_, [&plan](const JournalRecord& record) {
      const auto* decision = std::get_if<DecisionLearned>(&record);
      const auto* finished = std::get_if<Finished>(&record);
      return (decision != nullptr && decision->id == plan.id) ||
             (finished != nullptr && finished->id == plan.id);
    });
    if (!learned && !plan.id.transaction.is_one_phase())
      broken(plan, "[T6] committed was told before the journal had it");
    if (!plan.id.transaction.is_one_phase() && plan.fate != Fate::kCommit)
      broken(plan, "[T2] committed without a decision");
    plan.told_done = true;
    plan.acknowledged = true;
  }
  if (answer.end == BranchEnd::kRolledBack) {
    if (committed) broken(plan, "[T9] rolled back was told of a committed branch");
    if (prepared_.contains(plan.id)) broken(plan, "[T11] rolled back was told of a prepared branch");
    if (sessions_.contains(plan.id)) broken(plan, "[T11] rolled back was told while a session may still run");
    if (plan.fate == Fate::kCommit) broken(plan, "[T3] a decided commit was rolled back");
    plan.told_never = true;
    plan.acknowledged = true;
  }
  if (answer.end == BranchEnd::kLost) broken(plan, "a decided commit was lost without a fault that loses it");
}

void StormWorld::check_always() {
  for (const auto& plan : plans_) {
    const auto commits = commits_.find(plan.id);
    const bool committed = commits != commits_.end();
    if (committed && commits->second > 1) broken(plan, "[T7] the work was committed twice");
    if (committed && plan.told_never) broken(plan, "[T3] committed after \"never\" was told");
    if (committed && !plan.id.transaction.is_one_phase() && plan.fate != Fate::kCommit)
      broken(plan, "[T2] committed without a decision");
  }
}

// -- The storm ---------------------------------------------------------------------------------------------

void StormWorld::send_something(Plan& plan) {
  const bool one_phase = plan.id.transaction.is_one_phase();
  std::list<TableInput> messages;
  if (!plan.acknowledged && plan.fate == Fate::kUndecided && (plan.meant_for == 0 || random_.one_in(2))) {
    // Work is addressed to one start of the agent. One-phase work never to another: once it was sent, only
    // the resource can tell [T4]. Two-phase work sent anew meets its own barrier or prepared branch.
    if (plan.meant_for == 0 || (!one_phase && !plan.yes && random_.one_in(4))) plan.meant_for = incarnation_;
    Work work = work_for(plan.id);
    work.request.reset();
    work.incarnation = {plan.meant_for};
    messages.emplace_back(PrepareArrived{stamp(), work});
  } else if (one_phase) {
    messages.emplace_back(SettleArrived{stamp(), plan.id, kResource});
  } else {
    if (plan.fate == Fate::kUndecided && random_.one_in(4)) plan.fate = Fate::kAbort;  // its deadline
    if (plan.fate == Fate::kUndecided && plan.yes) plan.fate = Fate::kCommit;          // [T1]
    if (plan.fate == Fate::kCommit) messages.emplace_back(CommitArrived{stamp(), plan.id, kResource});
    if (plan.fate == Fate::kAbort) messages.emplace_back(RollbackArrived{stamp(), plan.id, kResource});
  }
  for (const auto& message : messages) {
    if (chance(3)) late_.push_back(message);  // a copy comes later, perhaps much later
    if (chance(5)) continue;                  // and this one is lost
    hear(message);
  }
}

void StormWorld::storm_step() {
  switch (random_.below(12)) {
    case 0:
    case 1:
    case 2: send_something(plans_[random_.below(plans_.size())]); break;
    case 3:
      if (!late_.empty()) {
        const auto at = std::next(late_.begin(), static_cast<std::ptrdiff_t>(random_.below(late_.size())));
        const bool once = random_.one_in(2);
        hear(*at);
        if (once) late_.erase(at);
      }
      break;
    case 4:
    case 5:
    case 6:
      if (!operations_.empty()) carry_operation(random_.below(operations_.size()));
      break;
    case 7:
    case 8:
      if (!journal_.empty()) {
        const std::size_t count = 1 + random_.below(journal_.size());
        const JournalTicket through = journal_[count - 1].ticket;
        for (std::size_t i = 0; i < count; ++i)
          durable_.push_back(journal_[i].record);
        journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(count));
        hear(JournalDurable{through});
      }
      break;
    case 9:
      now_ += std::chrono::milliseconds(random_.between(10, 4000));
      hear(Ticked{});
      break;
    case 10: hear(LeaderSpoke{stamp(), {}, {}}); break;
    case 11:
      if (random_.one_in(8)) {
        note("restart");
        restart();
      }
      break;
  }
  check_always();
}

// No more faults: everything must come to its end.
void StormWorld::heal() {
  stormy_ = false;
  for (int round = 0; round < 400 && problem_.empty(); ++round) {
    hear(LeaderSpoke{stamp(), {}, {}});
    for (auto& plan : plans_) {
      if (!plan.acknowledged) send_something(plan);
    }
    while (!operations_.empty() && problem_.empty())
      carry_operation(0);
    for (const auto& append : journal_)
      durable_.push_back(append.record);
    if (!journal_.empty()) {
      const JournalTicket through = journal_.back().ticket;
      journal_.clear();
      hear(JournalDurable{through});
    }
    now_ += std::chrono::seconds(5);
    hear(Ticked{});
    check_always();
  }
  if (!problem_.empty()) return;
  for (const auto& plan : plans_) {
    const bool committed = commits_.contains(plan.id);
    if (!plan.acknowledged) broken(plan, "never came to its end");
    if (prepared_.contains(plan.id)) broken(plan, "is still prepared");
    if (sessions_.contains(plan.id)) broken(plan, "still has a session");
    if (plan.fate == Fate::kCommit && !committed) broken(plan, "was decided and is not committed");
  }
}

}  // namespace troth::agent
