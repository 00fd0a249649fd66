// Random histories over the whole pure coordinator: a table, its store with a log that may lose what is not
// durable, and model agents that keep the rules of theirs. Messages are lost, doubled, delayed and reordered
// [T10]; coordinator and agents crash at any step. After each step, and when everything has healed:
//
// [T1] a transaction whose record is a commit has had a yes or read-only vote of every branch;
// [T2] nobody was told "committed", and no branch committed, before the store held it durably;
// [T3] what was told once is never contradicted: not by another answer, not by a branch, not by status;
// [T4] the same for what was told "aborted" after a deadline, a fence, or a lost reply;
// and at most one transaction commits for each request key, each committed one everywhere or nowhere, and
// nothing stays open once faults heal.
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/check.h"
#include "base/random.h"
#include "coordinator/decision_store/local_engine.h"
#include "coordinator/transaction_table.h"

namespace troth::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Broken rules of one history; the first says enough.
struct Violations {
  std::vector<std::string> found;
  void expect(bool holds, std::string what) {
    if (!holds && found.size() < 5) found.push_back(std::move(what));
  }
};

// One resource with its agent, which keeps its side of the rules: markers and barriers survive crashes, a
// branch that ended is never started again, work of another incarnation or below the watermark is refused.
class ModelAgent {
 public:
  enum class Marker : std::uint8_t { kReadOnly, kPrepared, kCommitted, kBarred };

  ModelAgent(AgentId id, Violations& violations) : id_(std::move(id)), violations_(violations) {}

  void restart() {
    ++incarnation_.value;
    open_.clear();
    std::erase_if(markers_, [](const auto& held) { return held.second == Marker::kReadOnly; });
  }
  [[nodiscard]] Incarnation incarnation() const { return incarnation_; }

  Vote prepare(const SendPrepare& message, Random& random) {
    const auto& branch = message.to.branch;
    hear(message.to.watermark);
    const auto refused = [](const char* why) {
      Error error;
      error.code = ErrorCode::kStale;
      error.effect = Effect::kUnknown;
      error.message = why;
      return VotedNo{error};
    };
    if (message.incarnation != incarnation_) return refused("another incarnation");  // [T12]
    if (message.statements && !markers_.contains(branch)) {
      const auto open = open_.find(branch);
      if (open == open_.end() || open->second.size() != *message.statements) {
        end(branch);
        return refused("another number of statements was answered");  // [T12]
      }
      prepared_work_[branch.transaction] = open->second;
      open_.erase(open);
      markers_[branch] = Marker::kPrepared;
      if (message.request) requests_.emplace(*message.request, branch);
      return VotedYes{};
    }
    if (position_of(branch.transaction) < watermark_) return refused("below the watermark");  // [T7]
    if (const auto at = markers_.find(branch); at != markers_.end()) {
      // A doubled message gets the answer again.
      if (at->second == Marker::kReadOnly) return VotedReadOnly{};
      if (at->second == Marker::kPrepared) return VotedYes{};
      if (at->second == Marker::kCommitted && message.one_phase) return VotedCommitted{};
      return refused("ended before");
    }
    if (message.request) {
      const auto holder = requests_.find(*message.request);
      if (holder != requests_.end()) {
        if (holder->second == std::nullopt) return refused("the request is barred");
        const auto marker = markers_.at(*holder->second);
        markers_[branch] = Marker::kBarred;
        if (marker == Marker::kCommitted) return VotedAlreadyCommitted{holder->second->transaction};
        Error busy;
        busy.code = ErrorCode::kBusy;
        busy.effect = Effect::kUnknown;
        return VotedNo{busy};
      }
    }
    if (random.one_in(8)) {
      markers_[branch] = Marker::kBarred;
      Error error;
      error.code = ErrorCode::kStatementFailed;
      error.effect = Effect::kNone;
      return VotedNo{error};
    }
    if (!message.one_phase && random.one_in(8)) {
      markers_[branch] = Marker::kReadOnly;
      return VotedReadOnly{};
    }
    if (message.request) requests_[*message.request] = branch;
    markers_[branch] = message.one_phase ? Marker::kCommitted : Marker::kPrepared;
    return message.one_phase ? Vote{VotedCommitted{}} : Vote{VotedYes{}};
  }

  // [T12] The next one runs, the last one is answered again, the rest is refused.
  // `content` stands for the statement's text.
  StatementAnswer run_statement(const SendStatement& message, std::uint64_t content, Random& random) {
    hear(message.to.watermark);
    const auto& branch = message.to.branch;
    const auto refused = [](ErrorCode code, Effect effect, bool over) {
      Error error;
      error.code = code;
      error.effect = effect;
      return StatementAnswer{"", error, over};
    };
    if (message.incarnation != incarnation_) return refused(ErrorCode::kStale, Effect::kUnknown, false);
    if (position_of(branch.transaction) < watermark_)
      return refused(ErrorCode::kStale, Effect::kUnknown, false);
    if (markers_.contains(branch)) return refused(ErrorCode::kStale, Effect::kUnknown, false);
    const auto open = open_.find(branch);
    const auto answered = open == open_.end() ? 0 : open->second.size();
    if (message.number == answered && answered > 0) {
      // Attack 68: one that was refused here first, and then came a second time behind the back of who asks now.
      if (open->second.back() != content) return refused(ErrorCode::kStale, Effect::kUnknown, false);
      return {"again", std::nullopt, false};
    }
    if (open == open_.end() && message.number > 1) {
      markers_[branch] = Marker::kBarred;
      return refused(ErrorCode::kUnknownTransaction, Effect::kNone, true);
    }
    if (message.number != answered + 1) return refused(ErrorCode::kInvalidArgument, Effect::kNone, false);
    if (random.one_in(10)) return refused(ErrorCode::kForbiddenStatement, Effect::kNone, false);
    if (random.one_in(10)) {
      end(branch);
      return refused(ErrorCode::kStatementFailed, Effect::kNone, true);
    }
    open_[branch].push_back(content);
    return {"rows", std::nullopt, false};
  }

  // What an interactive transaction did here, statement by statement, if it was prepared.
  [[nodiscard]] std::vector<std::uint64_t> prepared_work(const TransactionId& id) const {
    const auto at = prepared_work_.find(id);
    return at == prepared_work_.end() ? std::vector<std::uint64_t>{} : at->second;
  }

  BranchEnd commit(const BranchAddress& to) {
    hear(to.watermark);
    const auto at = markers_.find(to.branch);
    const bool prepared =
        at != markers_.end() && (at->second == Marker::kPrepared || at->second == Marker::kCommitted);
    violations_.expect(prepared, fmt::format("[T1] commit of {}/{} finds no prepared branch",
                                             to.branch.transaction.text(), to.branch.branch.value));
    if (!prepared) return BranchEnd::kLost;
    at->second = Marker::kCommitted;
    return BranchEnd::kCommitted;
  }

  void roll_back(const BranchAddress& to) {
    hear(to.watermark);
    end(to.branch);
  }

  SettleReplied settle(const SendSettle& message) {
    hear(message.watermark);
    SettleReplied reply{message.ticket, BranchEnd::kRolledBack, std::nullopt, {}};
    if (message.branch) {
      const auto at = markers_.find(*message.branch);
      if (at != markers_.end() && at->second == Marker::kCommitted) {
        reply.end = BranchEnd::kCommitted;
        return reply;
      }
      end(*message.branch);
    }
    if (!message.request) return reply;
    const auto holder = requests_.find(*message.request);
    if (holder != requests_.end() && holder->second) {
      const auto marker = markers_.at(*holder->second);
      reply.end = marker == Marker::kCommitted ? BranchEnd::kCommitted : BranchEnd::kUndecided;
      if (marker == Marker::kCommitted) reply.committed_as = holder->second->transaction;
      return reply;
    }
    if (!message.branch) requests_[*message.request] = std::nullopt;
    return reply;
  }

  // A decision that the agent asked for.
  void decided(const BranchId& branch, InquiryDecision decision) {
    const auto at = markers_.find(branch);
    if (at == markers_.end() || at->second != Marker::kPrepared) return;
    if (decision == InquiryDecision::kCommit) at->second = Marker::kCommitted;
    if (decision == InquiryDecision::kAbort) end(branch);
  }

  [[nodiscard]] std::vector<BranchId> in_doubt() const {
    std::vector<BranchId> branches;
    for (const auto& [branch, marker] : markers_)
      if (marker == Marker::kPrepared) branches.push_back(branch);
    return branches;
  }
  [[nodiscard]] bool has_committed(const TransactionId& id) const {
    for (std::uint32_t n = 1; n <= 3; ++n) {
      const auto at = markers_.find({id, {n}});
      if (at != markers_.end() && at->second == Marker::kCommitted) return true;
    }
    return false;
  }
  [[nodiscard]] std::set<TransactionId> committed() const {
    std::set<TransactionId> ids;
    for (const auto& [branch, marker] : markers_)
      if (marker == Marker::kCommitted) ids.insert(branch.transaction);
    return ids;
  }

  const AgentId& id() const { return id_; }

 private:
  void hear(Position watermark) { watermark_ = std::max(watermark_, watermark); }
  void end(const BranchId& branch) {
    open_.erase(branch);
    auto& marker = markers_.try_emplace(branch, Marker::kBarred).first->second;
    violations_.expect(marker != Marker::kCommitted,
                       fmt::format("[T3] {} is committed and told to roll back", branch.transaction.text()));
    if (marker == Marker::kPrepared || marker == Marker::kReadOnly) {
      marker = Marker::kBarred;
      std::erase_if(requests_, [&](const auto& held) { return held.second == branch; });
    }
  }

  AgentId id_;
  Violations& violations_;
  Incarnation incarnation_{1};
  Position watermark_;
  std::map<BranchId, Marker> markers_;
  std::map<RequestKey, std::optional<BranchId>> requests_;  // nullopt: barred
  std::map<BranchId, std::vector<std::uint64_t>> open_;     // interactive; the statements that ran
  std::map<TransactionId, std::vector<std::uint64_t>> prepared_work_;
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    for (const auto* name : {"accounts", "ledger", "audit"})
      agents_.emplace(ResourceName{name}, ModelAgent{{std::string("agent-") + name}, violations_});
    limits_.default_timeout = seconds{2};
    limits_.interactive_timeout = seconds{3};
    limits_.idle_timeout = seconds{1};
    limits_.redrive = {milliseconds{100}, milliseconds{800}};
    limits_.ask_again = {milliseconds{100}, milliseconds{800}};
    limits_.remembered_outcomes = 3;
    start_coordinator();
  }

  Violations run(std::size_t steps) {
    for (std::size_t n = 0; n < steps && violations_.found.empty(); ++n)
      one_step();
    heal();
    check_everything();
    return violations_;
  }

 private:
  // What is under way, with the coordinator's start that it belongs to: a reply finds only the process that
  // asked.
  using Message =
      std::variant<SendPrepare, SendStatement, StatementReplied, StatementFailed, SendCommit, SendRollback,
                   SendRelease, SendSettle, PrepareReplied, CommitReplied, SettleReplied>;

  // ---- what happens

  void one_step() {
    switch (random_.below(17)) {
      case 14:
      case 15:
      case 16: return interactive_step();
      case 0: return new_call();
      case 1: return ask_status();
      case 2: return random_.one_in(6) ? crash_coordinator() : pass(milliseconds{random_.between(1, 400)});
      case 3: return random_.one_in(4) ? restart_agent() : write_log();
      case 4: return inquire();
      case 5: return write_log();
      case 6: return pass(milliseconds{random_.between(1, 40)});
      default: return deliver_one();
    }
  }

  void new_call() {
    ExecuteRequested requested{{++last_call_}, {}};
    auto& work = requested.work;
    for (const auto& [name, agent] : agents_)
      if (!random_.one_in(3)) work.branches.push_back({name, random_.one_in(8)});
    if (work.branches.empty()) work.branches.push_back({{"ledger"}, false});
    work.client = "teller";
    if (!random_.one_in(3)) {
      // A handful of requests, each with its own content, retried often.
      const auto number = random_.below(6);
      auto& known = contents_[number];
      if (known.empty()) known = work.branches;
      work.branches = known;
      work.digest.bytes[0] = static_cast<std::uint8_t>(number);
      work.request = request(number);
    }
    work.acknowledgement = random_.one_in(2) ? Acknowledgement::kDecided : Acknowledgement::kApplied;
    calls_[requested.call] = work.request;
    step(std::move(requested));
  }

  // A client with a transaction in its hands: the next statement, an old or a skipped one, a commit, a rollback; or
  // nothing any more.
  void interactive_step() {
    if (sessions_.empty() || random_.one_in(4)) {
      ExecuteRequested begin{{++last_call_}, {}};
      begin.work.client = "teller";
      begin.work.interactive.emplace();
      begin.work.interactive->options = std::make_shared<const std::string>();
      begin.work.digest.bytes[0] = 99;
      if (random_.one_in(2)) begin.work.request = request(6 + random_.below(3));
      calls_[begin.call] = begin.work.request;
      return step(std::move(begin));
    }
    auto session = sessions_.begin();
    std::advance(session, static_cast<std::ptrdiff_t>(random_.below(sessions_.size())));
    const auto id = session->first;
    if (random_.one_in(5)) {
      const CallId call{++last_call_};
      calls_[call] = session->second.request;
      if (random_.one_in(4)) {
        sessions_.erase(session);
        return step(RollbackRequested{call, id, "teller"});
      }
      committing_[id] = session->second.places;
      if (!random_.one_in(3)) sessions_.erase(session);  // else it asks again
      return step(CommitRequested{call, id, "teller", Acknowledgement::kApplied, {}});
    }
    auto resource = agents_.begin();
    std::advance(resource, static_cast<std::ptrdiff_t>(random_.below(agents_.size())));
    auto& place = session->second.places[resource->first];
    auto number = place.answered.size() + 1;
    if (random_.one_in(5)) number += random_.below(2) == 0 ? 1 : -1;
    if (number == 0) return;
    // The same text under the same number, until one was refused: then it asks for something else.
    const auto content =
        number <= place.answered.size() ? place.answered[number - 1] : 100 * number + place.refused;
    Digest digest;
    digest.bytes[0] = static_cast<std::uint8_t>(content % 251);
    StatementRequested asked{
        {++last_call_}, id, "teller", resource->first, static_cast<std::uint32_t>(number), digest, 10};
    asked_statements_[asked.call] = {id, resource->first, number, content};
    step(std::move(asked));
  }

  void ask_status() {
    StatusRequested requested{{++last_call_}, request(random_.below(6)), random_.one_in(2), {}, seconds{1}};
    const auto number = std::get<RequestKey>(requested.subject).id.bytes[15];
    if (requested.bar) {
      // The caller knows what it asked for.
      for (const auto& branch : contents_[number])
        requested.resources.push_back(branch.resource);
    }
    status_of_[requested.call] = requested.subject;
    step(std::move(requested));
  }

  void deliver_one() {
    if (network_.empty()) return;
    const auto at = network_.begin() + static_cast<std::ptrdiff_t>(random_.below(network_.size()));
    const auto [start, message] = *at;
    const bool doubled = !healed_ && random_.one_in(10);
    if (!doubled) network_.erase(at);
    // [D3] A question that is lost, or whose answer is, comes back as undecided.
    const auto* settled = std::get_if<SettleReplied>(&message);
    const bool may_be_lost = !healed_ && (settled == nullptr || settled->end != BranchEnd::kUndecided);
    if (may_be_lost && random_.one_in(12)) return;
    std::visit([&, start = start](const auto& m) { arrive(m, start); }, message);
  }

  // ---- agents

  ModelAgent& agent_of(const ResourceName& resource) { return agents_.at(resource); }

  void arrive(const SendPrepare& message, std::uint64_t start) {
    auto vote = agent_of(message.to.resource).prepare(message, random_);
    const bool yes = std::holds_alternative<VotedYes>(vote) || std::holds_alternative<VotedReadOnly>(vote);
    if (yes) votes_[message.to.branch.transaction].insert(message.to.branch.branch);
    network_.emplace_back(start, PrepareReplied{message.to.branch, std::move(vote)});
  }
  void arrive(const SendStatement& message, std::uint64_t start) {
    const auto content = asked_statements_.at(message.call).content;
    auto answer = agent_of(message.to.resource).run_statement(message, content, random_);
    network_.emplace_back(start, StatementReplied{message.to.branch, message.call, std::move(answer)});
  }
  void arrive(const StatementFailed& message, std::uint64_t start) {
    if (start == start_) step(message);
  }
  void arrive(const StatementReplied& message, std::uint64_t start) {
    if (start == start_) step(message);
  }
  void arrive(const SendCommit& message, std::uint64_t start) {
    violations_.expect(durably_committed(message.to.branch.transaction),
                       fmt::format("[T2] {} is sent a commit that the store does not hold durably",
                                   message.to.branch.transaction.text()));
    const auto end = agent_of(message.to.resource).commit(message.to);
    network_.emplace_back(start, CommitReplied{message.to.branch, end, {}});
  }
  void arrive(const SendRollback& message, std::uint64_t) {
    agent_of(message.to.resource).roll_back(message.to);
  }
  void arrive(const SendRelease&, std::uint64_t) {}
  void arrive(const SendSettle& message, std::uint64_t start) {
    network_.emplace_back(start, agent_of(message.resource).settle(message));
  }
  void arrive(const PrepareReplied& message, std::uint64_t start) {
    if (start == start_) step(message);
  }
  void arrive(const CommitReplied& message, std::uint64_t start) {
    if (start == start_) step(message);
  }
  void arrive(const SettleReplied& message, std::uint64_t start) {
    if (start == start_) step(message);
  }

  void restart_agent() {
    auto at = agents_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(agents_.size())));
    auto& agent = at->second;
    agent.restart();
    step(AgentLost{agent.id()});
    introduce(at->first, agent);
  }

  void introduce(const ResourceName& name, ModelAgent& agent) {
    step(RegistrationRequested{{++last_call_},
                               agent.id(),
                               agent.incarnation(),
                               "127.0.0.1:1",
                               {{name, "postgres", "server-1"}},
                               {}});
    step(AgentConnected{agent.id(), agent.incarnation()});
  }

  void inquire() {
    for (auto& [name, agent] : agents_) {
      for (const auto& branch : agent.in_doubt()) {
        const CallId call{++last_call_};
        inquiries_[call] = {name, branch};
        step(InquiryReceived{call, branch});
      }
    }
  }

  // ---- the coordinator and its store

  void start_coordinator() {
    engine_.emplace();
    for (std::size_t n = 0; n < log_.size(); ++n)
      CHECK(engine_->restore(log_[n], {n + 1}).has_value());
    CHECK(engine_->opened({log_.size() + 1}).has_value());
    table_.reset();
    run_engine(store::Asked{kAcquiring, store::AcquireEpoch{{random_.next()}, clocks().wall, {}}});
    while (!table_)
      write_log();
    step(ServingStarted{});
    for (auto& [name, agent] : agents_)
      introduce(name, agent);
  }

  // What is not durable is lost, from some write on. What was sent may still arrive.
  void crash_coordinator() {
    log_.resize(durable_ + random_.below(log_.size() - durable_ + 1));
    durable_ = log_.size();
    ++start_;

    inquiries_.clear();
    status_of_.clear();
    start_coordinator();
  }

  void write_log() {
    if (durable_ == log_.size()) return;
    durable_ += 1 + random_.below(log_.size() - durable_);
    run_engine(store::LocalEngine::WritesDurable{{durable_}});
  }

  void run_engine(store::LocalEngine::Input input) {
    for (auto& effect : engine_->step(std::move(input))) {
      if (auto* append = std::get_if<store::LocalEngine::Append>(&effect)) {
        log_.push_back(std::move(append->record));
        continue;
      }
      auto& answered = std::get<store::Answered>(effect);
      if (answered.ticket == kAcquiring)
        table_.emplace(ClusterId{"bank-x7k2p9"}, std::get<store::EpochAcquired>(answered.answer), limits_,
                       random_.next());
      else
        inputs_.push_back(StoreAnswered{answered.ticket, std::move(answered.answer)});
    }
    take_inputs();
  }

  [[nodiscard]] bool durably_committed(const TransactionId& id) const {
    for (std::size_t n = 0; n < durable_; ++n) {
      const auto* commit = std::get_if<store::CommitRecord>(&log_[n]);
      if (commit != nullptr && commit->transaction == id) return true;
    }
    return false;
  }

  [[nodiscard]] Clocks clocks() const {
    return {now_, WallTime{std::chrono::hours{480'000}} + (now_ - Instant{})};
  }

  void pass(Duration time) {
    const auto until = now_ + time;
    while (table_->next_due() && *table_->next_due() <= until) {
      now_ = std::max(now_, *table_->next_due());
      step(TimePassed{});
    }
    now_ = until;
  }

  void step(TableInput input) {
    inputs_.push_back(std::move(input));
    take_inputs();
  }

  // [D1] All effects of one step before the next.
  void take_inputs() {
    if (taking_ || !table_) return;
    taking_ = true;
    while (!inputs_.empty()) {
      auto input = std::move(inputs_.front());
      inputs_.pop_front();
      for (auto& effect : table_->step(clocks(), std::move(input)))
        std::visit([&](auto& e) { carry_out(e); }, effect);
    }
    taking_ = false;
  }

  // ---- effects

  void carry_out(SendPrepare& effect) { network_.emplace_back(start_, effect); }
  void carry_out(SendStatement& effect) {
    network_.emplace_back(start_, effect);
    if (!random_.one_in(6)) return;
    Error reset;
    reset.effect = Effect::kUnknown;
    network_.emplace_back(start_, StatementFailed{effect.to.branch, effect.call, false, reset});
  }
  void carry_out(AnswerStatement& effect) {
    const auto [id, resource, number, content] = asked_statements_.at(effect.call);
    const auto session = sessions_.find(id);
    if (session == sessions_.end()) return;
    if (effect.over) {
      sessions_.erase(session);
      return;
    }
    auto& place = session->second.places[resource];
    if (!effect.result && effect.result.error().code == ErrorCode::kForbiddenStatement) ++place.refused;
    if (effect.result && number == place.answered.size() + 1) place.answered.push_back(content);
  }
  void carry_out(SendCommit& effect) { network_.emplace_back(start_, effect); }
  void carry_out(SendRollback& effect) { network_.emplace_back(start_, effect); }
  void carry_out(SendRelease& effect) { network_.emplace_back(start_, effect); }
  void carry_out(SendSettle& effect) {
    network_.emplace_back(start_, effect);
    // [D3] A lost question comes back as undecided, some time.
    network_.emplace_back(start_, SettleReplied{effect.ticket, BranchEnd::kUndecided, std::nullopt, {}});
  }
  void carry_out(AskStore& effect) {
    if (const auto* choose = std::get_if<store::Choose>(&effect.request))
      if (const auto* commit = std::get_if<store::CommitRecord>(&choose->record)) check_votes(*commit);
    run_engine(store::Asked{effect.ticket, std::move(effect.request)});
  }
  void carry_out(AnswerExecute& effect) {
    const auto request = calls_.at(effect.call);
    if (const auto* committed = std::get_if<Committed>(&effect.answer))
      return told_committed(committed->transaction, request);
    if (const auto* begun = std::get_if<Begun>(&effect.answer)) {
      sessions_[begun->transaction].request = request;
      return;
    }
    if (const auto* rolled_back = std::get_if<RolledBack>(&effect.answer)) {
      told_aborted_.insert(rolled_back->transaction);
      return;
    }
    const auto& failed = std::get<Failed>(effect.answer);
    if (failed.error.code == ErrorCode::kBusy) return;  // of this call: the transaction goes on
    if (failed.error.effect == Effect::kNone && failed.transaction) told_aborted_.insert(*failed.transaction);
  }
  void carry_out(AnswerStatus& effect) {
    const auto at = status_of_.find(effect.call);
    if (!effect.report || at == status_of_.end()) return;
    const auto& key = std::get<RequestKey>(at->second);
    const auto& report = *effect.report;
    if (report.state == TransactionState::kCommitted && report.transaction)
      told_committed(*report.transaction, key);
    // Of a request that runs, "not committed" is of that attempt; of a barred one it is for ever.
    if (report.state == TransactionState::kNotCommitted && !report.transaction) told_never_.insert(key);
  }
  void carry_out(AnswerInquiry& effect) {
    const auto at = inquiries_.find(effect.call);
    if (at == inquiries_.end()) return;
    const auto [resource, branch] = at->second;
    inquiries_.erase(at);
    if (effect.decision == InquiryDecision::kCommit)
      violations_.expect(durably_committed(branch.transaction),
                         "[T2] an inquiry heard of a commit too early");
    if (effect.decision == InquiryDecision::kAbort) told_aborted_.insert(branch.transaction);
    agent_of(resource).decided(branch, effect.decision);
  }
  void carry_out(AnswerRegistration&) {}
  void carry_out(AnswerResolve&) {}
  void carry_out(SendResolve&) {}
  void carry_out(StopServing& effect) { violations_.expect(false, "stopped: " + effect.reason.message); }
  void carry_out(DrainFinished&) {}

  // ---- the rules

  // [T1] Every branch that the record's transaction has must have voted; the model knows who did.
  void check_votes(const store::CommitRecord& commit) {
    for (const auto& branch : commit.branches)
      violations_.expect(votes_[commit.transaction].contains(branch.branch),
                         fmt::format("[T1] {} proposes without the vote of branch {}",
                                     commit.transaction.text(), branch.branch.value));
  }

  void told_committed(const TransactionId& id, const std::optional<RequestKey>& request) {
    if (!id.is_one_phase()) {
      const bool durable = durably_committed(id);
      const bool read_only = !durable && !wrote_anything(id);
      violations_.expect(durable || read_only, fmt::format("[T2] {} is told committed too early", id.text()));
      if (read_only) return;
    }
    told_committed_.insert(id);
    if (request) committed_for_[*request].insert(id);
  }

  [[nodiscard]] bool wrote_anything(const TransactionId& id) const {
    for (const auto& [name, agent] : agents_) {
      for (const auto& branch : agent.in_doubt())
        if (branch.transaction == id) return true;
      if (agent.has_committed(id)) return true;
    }
    return false;
  }

  // Faults end: what is under way arrives, agents ask, time goes on until nothing is left to do.
  void heal() {
    healed_ = true;
    for (int round = 0; round < 400 && violations_.found.empty(); ++round) {
      while (!network_.empty() && violations_.found.empty())
        deliver_one();
      while (durable_ < log_.size())
        write_log();
      inquire();
      pass(seconds{1});
    }
  }

  void check_everything() {
    if (!violations_.found.empty()) return;
    std::set<TransactionId> committed;
    for (const auto& [name, agent] : agents_) {
      violations_.expect(agent.in_doubt().empty(), fmt::format("{} is left in doubt", name.value));
      committed.merge(agent.committed());
    }
    for (const auto& id : told_aborted_)
      violations_.expect(!committed.contains(id),
                         fmt::format("[T3] {} was told aborted and is committed", id.text()));
    for (const auto& id : told_committed_)
      violations_.expect(committed.contains(id),
                         fmt::format("[T3] {} was told committed and is not", id.text()));
    for (const auto& [id, places] : committing_) {
      if (!told_committed_.contains(id)) continue;
      for (const auto& [resource, place] : places)
        violations_.expect(agents_.at(resource).prepared_work(id) == place.answered,
                           fmt::format("[T12] {} committed other statements in {} than its client knows of",
                                       id.text(), resource.value));
    }
    for (const auto& [key, ids] : committed_for_) {
      violations_.expect(ids.size() <= 1, "one request was told two commits");
      violations_.expect(!told_never_.contains(key), "[T3] a request was told barred and committed");
    }
    std::set<RequestKey> keys;
    for (const auto& record : log_) {
      const auto* commit = std::get_if<store::CommitRecord>(&record);
      if (commit == nullptr) continue;
      if (commit->request)
        violations_.expect(keys.insert(*commit->request).second, "one request has two records");
      for (const auto& branch : commit->branches) {
        const auto resource = resource_of(branch.resource);
        violations_.expect(
            agents_.at(resource).has_committed(commit->transaction),
            fmt::format("{} is not committed in {}", commit->transaction.text(), resource.value));
      }
    }
    const auto open = table_->counts();
    violations_.expect(open.undecided == 0 && open.open == 0,
                       fmt::format("{} undecided, {} open after healing", open.undecided, open.open));
  }

  [[nodiscard]] ResourceName resource_of(ResourceNumber number) const {
    for (const auto& resource : table_->resources())
      if (resource.record.number == number) return resource.record.name;
    CHECK(false, "no resource {}", number.value);
  }

  static RequestKey request(std::uint64_t number) {
    RequestKey key{"teller", {}};
    const std::uint64_t ms = std::uint64_t{480'000} * 3'600'000;
    for (int i = 0; i < 6; ++i)
      key.id.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    key.id.bytes[15] = static_cast<std::uint8_t>(number);
    return key;
  }

  Random random_;
  Violations violations_;
  TableLimits limits_;
  Instant now_{seconds{1}};
  bool healed_ = false;

  std::map<ResourceName, ModelAgent> agents_;
  std::vector<std::pair<std::uint64_t, Message>> network_;
  std::uint64_t start_ = 1;  // of the coordinator

  std::vector<store::LogRecord> log_;
  std::size_t durable_ = 0;
  std::optional<store::LocalEngine> engine_;
  std::optional<TransactionTable> table_;
  static constexpr store::Ticket kAcquiring{0};
  std::deque<TableInput> inputs_;
  bool taking_ = false;

  std::uint64_t last_call_ = 0;
  std::map<std::uint64_t, std::vector<BranchWork>> contents_;
  std::map<CallId, std::optional<RequestKey>> calls_;
  std::map<CallId, std::variant<TransactionId, RequestKey>> status_of_;
  std::map<CallId, std::pair<ResourceName, BranchId>> inquiries_;

  struct Place {
    std::vector<std::uint64_t> answered;  // the statements' contents
    std::uint64_t refused = 0;
  };
  struct Session {
    std::optional<RequestKey> request;
    std::map<ResourceName, Place> places;
  };
  struct AskedStatement {
    TransactionId transaction;
    ResourceName resource;
    std::size_t number = 0;
    std::uint64_t content = 0;
  };
  std::map<TransactionId, Session> sessions_;
  std::map<TransactionId, std::map<ResourceName, Place>> committing_;
  std::map<CallId, AskedStatement> asked_statements_;

  std::map<TransactionId, std::set<BranchNumber>> votes_;
  std::set<TransactionId> told_committed_;
  std::set<TransactionId> told_aborted_;
  std::set<RequestKey> told_never_;
  std::map<RequestKey, std::set<TransactionId>> committed_for_;
};

RC_GTEST_PROP(Coordinator, KeepsItsRulesWhateverIsLostDoubledOrCrashed, (std::uint32_t seed)) {
  for (std::uint64_t n = 0; n < 10; ++n) {
    const auto violations = History(seed + (n << 32)).run(300);
    for (const auto& violation : violations.found)
      RC_LOG() << "history " << seed + (n << 32) << ": " << violation << "\n";
    RC_ASSERT(violations.found.empty());
  }
}

}  // namespace
}  // namespace troth::coordinator
