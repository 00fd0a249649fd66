#include "participant_agent/runtime/agent.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "participant_agent/refusal.h"
#include "participant_agent/runtime/branch_lines.h"
#include "participant_agent/runtime/crash_points.h"
#include "thrift/runtime/gate.h"

namespace troth::agent {
namespace {

// Of calls about one branch; an older one is told "undecided" and will come again.
constexpr std::size_t kWaitersPerBranch = 4;

// What a branch's redo says besides its work.
constexpr std::size_t kAboutRedo = 4096;

TableOptions table_options(const Agent::Options& options, Incarnation incarnation,
                           std::size_t largest_record) {
  const auto& settings = options.settings;
  TableOptions table;
  table.cluster = options.cluster;
  table.incarnation = incarnation;
  for (const auto& resource : options.resources) {
    table.resources.emplace(resource.ownership.resource, resource.settings.kind);
  }
  table.limits.live_branches = settings.branches;
  table.limits.live_bytes = settings.branch_bytes;
  table.limits.kept_bytes = settings.branch_bytes;
  table.limits.redo_bytes = std::min(table.limits.redo_bytes, largest_record - kAboutRedo);
  table.floor_interval = settings.floor_interval;
  table.times.cancel_grace = settings.cancel_grace;
  table.times.first_inquiry = settings.first_inquiry;
  table.times.longest_inquiry = settings.longest_inquiry;
  return table;
}

template <typename Waiters, typename Reply>
void answer_all(Waiters& waiters, const BranchId& id, const Reply& reply) {
  const auto found = waiters.find(id);
  if (found == waiters.end()) return;
  const auto waiting = std::move(found->second);
  waiters.erase(found);
  for (const auto& waiter : waiting)
    waiter.answer(reply);
}

template <typename Waiters>
void forget_call(Waiters& waiters, const BranchId& id, std::uint64_t call) {
  const auto found = waiters.find(id);
  if (found == waiters.end()) return;
  std::erase_if(found->second, [call](const auto& waiter) { return waiter.call == call; });
  if (found->second.empty()) waiters.erase(found);
}

}  // namespace

Agent::Agent(asio::io_context& loop, Options options, std::unique_ptr<Journal> journal,
             const JournalState& state, Coordinators& coordinators)
    : loop_(loop),
      options_(std::move(options)),
      incarnation_(state.next_incarnation()),
      started_(boot_now()),
      journal_(std::move(journal)),
      coordinators_(coordinators),
      table_(table_options(options_, incarnation_, journal_->largest_record()), state, started_),
      alarm_(loop,
             [this] {
               step(Ticked{});
               for (const auto& [name, resource] : resources_)
                 resource->refuse_expired();
             }),
      shutdown_timer_(loop) {
  begin_codes(*options_.metrics, "troth_agent_refused_total");
  Journal::Events events;
  events.on_durable = [this](JournalTicket through) { journal_durable(through); };
  events.on_failure = [this](const Error& error) { options_.on_failure(error); };
  events.checkpoint = [this] { return checkpoint(); };
  journal_->set_events(std::move(events));

  for (auto& resource : options_.resources) {
    const auto name = resource.ownership.resource;
    resource.ownership.incarnation = incarnation_;
    if (const auto known = state.ownership.find(name); known != state.ownership.end())
      resource.memory = known->second;
    Resource::Owner owner;
    owner.table = [this](TableInput input) { step(std::move(input)); };
    owner.append = [this](const AppendJournal& record) { append(record); };
    owner.journal = [this]() -> JournalSequence& { return table_.journal(); };
    owner.live_branches = [this, name] { return table_.live_in(name); };
    owner.branch = [this](const BranchId& id) { return table_.find(id); };
    resource.metrics = options_.metrics;
    owner.ask_decision = [this, name](const BranchId& id, std::function<void(GroupDecision)> done) {
      coordinators_.inquire(
          id, name, [done = std::move(done)](const InquiryAnswered& answer) { done(answer.decision); });
    };
    owner.start_anew = [this](const Error& reason) { options_.on_failure(reason); };
    owner.on_standing = [this] {
      do_register();
      settle_cut_tail_when_clear();
    };
    resources_.emplace(name, std::make_unique<Resource>(loop_, std::move(resource), std::move(owner)));
  }
}

Agent::~Agent() = default;

// An orphan of the configuration: nobody ends it before its resource is configured again.
void Agent::name_unconfigured_branches() const {
  for (const auto& branch : table_.open_branches()) {
    if (resources_.contains(branch.resource)) continue;
    log_error("a branch is in doubt in a resource that the configuration does not name: put it back",
              {{"resource", branch.resource},
               {"transaction", branch.id.transaction.text()},
               {"branch", branch.id.branch}});
  }
}

Status Agent::audit_configured_take_overs() const {
  for (const auto& [name, resource] : resources_) {
    if (!resource->takes_over_by_configuration()) continue;
    if (auto written = append_audit(options_.audit_path, wall_now(), "take-over",
                                    {{"resource", name},
                                     {"operator", "configuration"},
                                     {"reason", "take_over = true"},
                                     {"incarnation", incarnation_}});
        !written)
      return written;
  }
  return {};
}

void Agent::start() {
  if (const auto written = audit_configured_take_overs(); !written)
    return options_.on_failure(written.error());
  name_unconfigured_branches();
  log_info("agent starts",
           {{"agent", options_.agent}, {"incarnation", incarnation_}, {"cluster", options_.cluster}});
  const auto ticket = table_.journal().next();
  append({ticket, AgentStarted{incarnation_}});
  after(ticket, [this] {
    for (const auto& [name, resource] : resources_)
      resource->start();
    do_register();
    alarm_.set(table_.wakes_at());
  });
}

void Agent::do_register() {
  wire::RegisterRequest request;
  request.cluster = options_.cluster.value;
  request.agent_id = options_.agent.value;
  request.incarnation = static_cast<std::int64_t>(incarnation_.value);
  request.address = options_.address.text();
  for (const auto& [name, resource] : resources_) {
    const auto identity = resource->identity();
    if (identity.empty()) continue;  // not yet known: registered when it is
    // Another's by now: naming it would have the others refused with it.
    if (resource->is_anothers()) continue;
    wire::ResourceRegistration registration;
    registration.name = name.value;
    registration.kind = name_of(resource->kind());
    registration.identity = identity;
    if (resource->tells_take_over()) request.take_over.push_back(name.value);
    request.resources.push_back(std::move(registration));
  }
  coordinators_.register_agent(
      std::move(request),
      [this](const wire::RegisterReply& reply) {
        for (const auto& [name, number] : reply.resource_numbers) {
          if (const auto found = resources_.find(ResourceName{name}); found != resources_.end()) {
            found->second->registered();
          }
        }
        log_info("registered", {{"resources", reply.resource_numbers.size()}, {"epoch", reply.epoch.number}});
      },
      [this](const Error& why) { outrun(why); });
}

// Who owns a resource is no second process under one name: its journal was set back, behind starts that had owned nothing. Each
// new start is one above, until none is known above it.
void Agent::outrun(const Error& why) {
  if (std::ranges::none_of(resources_, [](const auto& each) { return each.second->serves(); })) return;
  log_warning("the agent starts anew", {{"why", why.message}});
  options_.on_failure(why);
}

void Agent::shut_down(Duration grace, std::function<void()> done) {
  shut_down_done_ = std::move(done);
  shutdown_timer_.expires_after(grace);
  shutdown_timer_.async_wait([this](const asio::error_code& stopped) {
    if (!stopped) finish_shut_down();
  });
  shut_down_when_idle();
}

// Nothing runs, and no answer waits for the disk; looked at again after each step.
void Agent::shut_down_when_idle() {
  if (shut_down_done_ && !table_.is_working() && held_.empty()) finish_shut_down();
}

void Agent::finish_shut_down() {
  if (!shut_down_done_) return;
  const auto done = std::exchange(shut_down_done_, nullptr);
  shutdown_timer_.cancel();
  alarm_.stop();
  for (const auto& [name, resource] : resources_)
    resource->shut_down();
  done();
}

// ---- calls

void Agent::prepare(const LeaderStamp& stamp, Work work, std::function<void(VoteAnswer)> answer,
                    Refusal refuse) {
  // What runs may end; nothing begins any more.
  if (shut_down_done_ && table_.find(work.id) == nullptr)
    return refuse(refusal(ErrorCode::kUnavailable, Effect::kNone, "the agent is shutting down", true));
  const auto call = ++last_call_;
  auto& waiting = prepares_[work.id];
  if (waiting.size() >= kWaitersPerBranch) {
    VoteAnswer again;
    again.vote = Vote::kUndecided;
    waiting.front().answer(again);
    waiting.erase(waiting.begin());
  }
  waiting.push_back({std::move(answer), call});
  const auto id = work.id;
  step_for({call, id, std::move(refuse), nullptr, nullptr}, PrepareArrived{stamp, std::move(work)});
}

void Agent::run_statement(const LeaderStamp& stamp, Work work, NumberedStatement statement,
                          std::function<void(StatementAnswer)> answer, Refusal refuse) {
  // What is open may go on to its end; nothing begins any more.
  if (shut_down_done_ && table_.find(work.id) == nullptr)
    return refuse(refusal(ErrorCode::kUnavailable, Effect::kNone, "the agent is shutting down", true));
  const auto call = ++last_call_;
  auto& waiting = statements_[work.id];
  if (waiting.size() >= kWaitersPerBranch) {
    waiting.front().answer(
        {nullptr, refusal(ErrorCode::kBusy, Effect::kUnknown, "asked again meanwhile", true), false});
    waiting.erase(waiting.begin());
  }
  waiting.push_back({std::move(answer), call});
  const auto id = work.id;
  step_for({call, id, std::move(refuse), nullptr, nullptr},
           StatementArrived{stamp, std::move(work), std::move(statement)});
}

void Agent::finish_call(const BranchId& id, TableInput input, std::function<void(FinishAnswer)> answer,
                        Refusal refuse) {
  const auto call = ++last_call_;
  auto& waiting = finishes_[id];
  if (waiting.size() >= kWaitersPerBranch) {
    waiting.front().answer({BranchEnd::kUndecided, "asked again meanwhile"});
    waiting.erase(waiting.begin());
  }
  waiting.push_back({std::move(answer), call});
  step_for({call, id, std::move(refuse), nullptr, nullptr}, std::move(input));
}

void Agent::commit(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
                   std::function<void(FinishAnswer)> answer, Refusal refuse) {
  reach(CrashPoint::kAfterCommitReceived);
  finish_call(id, CommitArrived{stamp, id, resource}, std::move(answer), std::move(refuse));
}

void Agent::roll_back(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
                      std::function<void(FinishAnswer)> answer, Refusal refuse) {
  reach(CrashPoint::kAfterRollbackReceived);
  finish_call(id, RollbackArrived{stamp, id, resource}, std::move(answer), std::move(refuse));
}

void Agent::settle(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
                   std::function<void(FinishAnswer)> answer, Refusal refuse) {
  reach(CrashPoint::kAfterSettleReceived);
  finish_call(id, SettleArrived{stamp, id, resource}, std::move(answer), std::move(refuse));
}

void Agent::bar(const LeaderStamp& stamp, const RequestKey& request, const ResourceName& resource,
                std::function<void(RequestVerdict)> answer, Refusal refuse) {
  reach(CrashPoint::kAfterSettleReceived);
  step_for({++last_call_, {}, std::move(refuse), nullptr, std::move(answer)},
           RequestBarArrived{stamp, request, resource});
}

void Agent::heartbeat(const LeaderSpoke& spoke, std::function<void(std::vector<TransactionId>)> answer,
                      Refusal refuse) {
  step_for({++last_call_, {}, std::move(refuse), std::move(answer), nullptr}, spoke);
}

void Agent::resolve(const BranchId& id, const ResourceName& resource, ResolveRequested resolution,
                    std::function<void(FinishAnswer)> answer, Refusal refuse) {
  const auto* branch = table_.find(id);
  const std::string before = branch == nullptr ? "unknown here" : branch->describe();
  const auto audit = [path = options_.audit_path, id, resource, resolution,
                      caller = rpc::current_caller_text()](std::string_view action, std::string_view key,
                                                           std::string_view value) {
    return append_audit(path, wall_now(), action,
                        {{"transaction", id.transaction.text()},
                         {"branch", id.branch},
                         {"resource", resource},
                         {"outcome", resolution.commit ? "commit" : "rollback"},
                         {"operator", resolution.operator_name},
                         {"reason", resolution.reason},
                         {key, value},
                         {"caller", caller}});
  };
  if (const auto written = audit("resolve", "before", before); !written) return refuse(written.error());
  const auto note = [audit](std::string_view after) {
    if (const auto written = audit("resolve-done", "after", after); !written)
      log_error("audit trail", {{"why", written.error().message}});
  };
  finish_call(
      id, ResolveArrived{id, resource, std::move(resolution)},
      [answer = std::move(answer), note](FinishAnswer end) {
        note(name_of(end.end));
        answer(std::move(end));
      },
      [refuse = std::move(refuse), note](const Error& error) {
        note("refused: " + error.message);
        refuse(error);
      });
}

ResourceHealth Agent::health_of(const Resource& resource) const {
  if (const auto stopped = table_.stopped())
    return agent::health_of(ResourceState::kStopped, resource.name(), stopped->message);
  return resource.health();
}

Status Agent::take_over(const ResourceName& resource, const OperatorWord& word) {
  const auto found = resources_.find(resource);
  if (found == resources_.end()) {
    return fail(ErrorCode::kUnknownResource, Effect::kNone,
                fmt::format("agent {} has no resource {}", options_.agent.value, resource.value));
  }
  const auto audit = [path = options_.audit_path, resource, word, caller = rpc::current_caller_text()](
                         std::string_view action, std::string_view key, const ResourceHealth& health) {
    return append_audit(
        path, wall_now(), action,
        {{"resource", resource},
         {"operator", word.name},
         {"reason", word.reason},
         {key, health.reason.empty() ? std::string(name_of(health.state))
                                     : fmt::format("{}: {}", name_of(health.state), health.reason)},
         {"caller", caller}});
  };
  if (auto written = audit("take-over", "before", found->second->health()); !written) return written;
  found->second->allow_take_over([audit](const ResourceHealth& after) {
    if (const auto written = audit("take-over-done", "after", after); !written)
      log_error("audit trail", {{"why", written.error().message}});
  });
  return {};
}

// ---- what it shows

void Agent::refresh_metrics() {
  auto& metrics = *options_.metrics;
  const auto now = boot_now();
  for (const auto& [name, load] : table_.loads(now))
    if (const auto found = resources_.find(name); found != resources_.end())
      found->second->meter().show(load);
  for (const auto& [name, resource] : resources_) {
    resource->meter().show(health_of(*resource));
    resource->refresh_metrics();
  }
  const auto set = [&metrics](const char* name, auto value) {
    metrics.gauge(name).Set(static_cast<double>(value));
  };
  set("troth_agent_live_branches_limit", options_.settings.branches);
  set("troth_agent_live_bytes", table_.live_bytes());
  set("troth_agent_remembered_branches", table_.remembered());
  set("troth_agent_answers_waiting", held_.size());
  set("troth_agent_epoch", table_.epoch() ? table_.epoch()->number.value : 0);
  set("troth_agent_incarnation", incarnation_.value);
  set("troth_agent_leader_silence_seconds", seconds_of(now - leader_heard_.value_or(started_)));
}

Readiness Agent::readiness() const {
  if (shut_down_done_) return {false, "the agent is shutting down", ""};
  if (const auto stopped = table_.stopped()) {
    return {false, stopped->message, agent::health_of(ResourceState::kStopped, {}, {}).remedy};
  }
  const auto silence = boot_now() - leader_heard_.value_or(started_);
  if (!leader_heard_ || silence > options_.settings.leader_silence) {
    const auto& trouble = coordinators_.registration_trouble();
    return {false,
            fmt::format("no coordinator was heard for {:.1f} s{}{}", seconds_of(silence), trouble ? ": " : "",
                        trouble ? trouble->message : std::string()),
            fmt::format("see that a coordinator of `coordinators` runs and can call {}",
                        options_.address.text())};
  }
  Readiness readiness{true, {}, {}};
  for (const auto& [name, resource] : resources_) {
    const auto health = health_of(*resource);
    if (health.state == ResourceState::kServing) continue;
    readiness.ready = false;
    readiness.reason +=
        fmt::format("{}resource {} is {}{}{}", readiness.reason.empty() ? "" : "; ", name.value,
                    name_of(health.state), health.reason.empty() ? "" : ": ", health.reason);
    if (!health.remedy.empty())
      readiness.remedy +=
          fmt::format("{}{}: {}", readiness.remedy.empty() ? "" : "; ", name.value, health.remedy);
  }
  return readiness;
}

// ---- the table's step and what it says

void Agent::step(TableInput input) {
  step_for({}, std::move(input));
}

void Agent::step_for(CurrentCall call, TableInput input) {
  inputs_.emplace_back(std::move(call), std::move(input));
  if (stepping_) return;  // the effects of the running step come first
  stepping_ = true;
  while (!inputs_.empty()) {
    auto [next_call, next] = std::move(inputs_.front());
    inputs_.pop_front();
    current_ = std::move(next_call);
    for (const auto& effect : table_.step(next, boot_now())) {
      std::visit([this](const auto& one) { carry_out(one); }, effect);
    }
  }
  current_ = {};
  stepping_ = false;
  alarm_.set(table_.wakes_at());
  shut_down_when_idle();
}

void Agent::append(const AppendJournal& record) {
  journal_->append(record);
}

void Agent::journal_durable(JournalTicket through) {
  step(JournalDurable{through});
  for (const auto& [name, resource] : resources_)
    resource->journal_durable(through);
  while (!held_.empty() && held_.begin()->first <= through) {
    const auto action = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    action();
  }
  shut_down_when_idle();
}

void Agent::after(JournalTicket ticket, std::function<void()> action) {
  if (ticket <= journal_->durable()) return action();
  held_.emplace(ticket, std::move(action));
}

std::vector<JournalRecord> Agent::checkpoint() const {
  auto records = table_.checkpoint();
  for (const auto& [name, resource] : resources_) {
    auto more = resource->checkpoint();
    std::ranges::move(more, std::back_inserter(records));
  }
  return records;
}

// Branches that were open when the tail was found cut have all ended.
void Agent::settle_cut_tail_when_clear() {
  if (!journal_->tail_was_cut()) return;
  const auto open = table_.open_branches();
  if (std::ranges::none_of(open, [this](const auto& branch) { return branch.since <= started_; })) {
    journal_->settle_cut_tail();
  }
}

void Agent::inquire(const BranchId& id, const ResourceName& resource) {
  coordinators_.inquire(id, resource, [this](InquiryAnswered answer) {
    reach(CrashPoint::kAfterInquiry);
    step(std::move(answer));
  });
}

void Agent::carry_out(const ForBranch& effect) {
  const auto resource = resources_.find(effect.resource);
  CHECK(resource != resources_.end(), "an effect for resource {}", effect.resource.value);
  carry_out_branch(effect.id, *resource->second, effect.effect);
}

void Agent::carry_out_branch(const BranchId& id, Resource& resource, const BranchEffect& effect) {
  const auto* branch = table_.find(id);
  if (const auto* run = std::get_if<RunWork>(&effect)) {
    reach(CrashPoint::kAfterPrepareReceived);
    CHECK(branch != nullptr, "work of a branch that is gone");
    resource.run_work(*branch, *run);
  } else if (const auto* statement = std::get_if<RunStatement>(&effect)) {
    reach(CrashPoint::kAfterStatementReceived);
    CHECK(branch != nullptr, "a statement of a branch that is gone");
    resource.run_statement(*branch, *statement);
  } else if (const auto* prepare = std::get_if<PrepareOpen>(&effect)) {
    reach(CrashPoint::kAfterPrepareReceived);
    CHECK(branch != nullptr, "the prepare of a branch that is gone");
    resource.prepare_open(*branch, *prepare);
  } else if (std::holds_alternative<RollBackOpen>(effect)) {
    CHECK(branch != nullptr, "the rollback of a branch that is gone");
    resource.roll_back_open(*branch);
  } else if (std::holds_alternative<CancelWork>(effect)) {
    resource.cancel_work(id);
  } else if (std::holds_alternative<EndSession>(effect)) {
    CHECK(branch != nullptr, "the session of a branch that is gone");
    resource.end_session(*branch);
  } else if (std::holds_alternative<ReleaseSession>(effect)) {
    resource.release_session(id);
  } else if (const auto* finish = std::get_if<FinishPrepared>(&effect)) {
    // An operator's reason is durable before it is done.
    after(finish->after, [this, id, commit = finish->commit, &resource] {
      const auto* open = table_.find(id);
      CHECK(open != nullptr, "the end of a branch that is gone");
      resource.finish_prepared(*open, commit);
    });
  } else if (std::holds_alternative<EndHolder>(effect)) {
    CHECK(branch != nullptr, "the holder of a branch that is gone");
    resource.end_holder(*branch);
  } else if (std::holds_alternative<ReadMarkers>(effect)) {
    CHECK(branch != nullptr, "the marker of a branch that is gone");
    resource.read_markers(*branch);
  } else if (std::holds_alternative<InsertBarrier>(effect)) {
    CHECK(branch != nullptr, "the barrier of a branch that is gone");
    const auto& epoch = table_.epoch();
    resource.insert_barrier(*branch, epoch ? epoch->number : EpochNumber{});
  } else if (std::holds_alternative<MarkResolved>(effect)) {
    CHECK(branch != nullptr, "the marker of a branch that is gone");
    reach(CrashPoint::kBeforeResolutionMarked);
    resource.mark_resolved(*branch);
  } else if (std::holds_alternative<Inquire>(effect)) {
    resource.meter().inquired();
    if (branch != nullptr) tell_inquiry(*branch);
    inquire(id, resource.name());
  } else if (const auto* vote = std::get_if<AnswerVote>(&effect)) {
    resource.meter().voted(vote->answer);
    if (branch != nullptr) tell_vote(*branch, vote->answer);
    after(vote->after, [this, id, answer = vote->answer] {
      if (answer.vote == Vote::kNo) reach(CrashPoint::kAfterNo);
      if (answer.vote == Vote::kYes) reach(CrashPoint::kAfterVoteDurable);
      answer_all(prepares_, id, answer);
      asio::post(loop_, [] { reach(CrashPoint::kAfterVoteSent); });
    });
  } else if (const auto* answered = std::get_if<AnswerStatement>(&effect)) {
    after(answered->after, [this, id, answer = answered->answer] { answer_all(statements_, id, answer); });
  } else if (const auto* end = std::get_if<AnswerFinish>(&effect)) {
    resource.meter().ended(end->answer.end);
    tell_end(id, resource.name(), branch, end->answer);
    after(end->after, [this, id, answer = end->answer] {
      if (answer.end == BranchEnd::kCommitted) reach(CrashPoint::kAfterCommitDurable);
      answer_all(finishes_, id, answer);
      asio::post(loop_, [] { reach(CrashPoint::kAfterAcknowledgement); });
      settle_cut_tail_when_clear();
    });
  }
}

void Agent::carry_out(const AppendJournal& effect) {
  append(effect);
}

void Agent::carry_out(const RefuseCall& effect) {
  if (!current_.refuse) return;
  options_.metrics->counter("troth_agent_refused_total", {{"code", std::string(name_of(effect.error.code))}})
      .Increment();
  after(effect.after, [this, call = current_.number, id = current_.branch,
                       refuse = std::exchange(current_.refuse, nullptr), error = effect.error] {
    forget_call(prepares_, id, call);
    forget_call(statements_, id, call);
    forget_call(finishes_, id, call);
    refuse(error);
  });
}

void Agent::carry_out(const AnswerHeartbeat& effect) {
  leader_heard_ = boot_now();
  if (!current_.heartbeat) return;
  after(effect.after,
        [answer = std::move(current_.heartbeat), taken = effect.ended_taken] { answer(taken); });
}

void Agent::carry_out(const ConfirmEpoch& effect) {
  coordinators_.confirm(effect.epoch, [this, epoch = effect.epoch] { step(EpochConfirmed{epoch}); });
}

void Agent::carry_out(const StopService& effect) {
  log_error("service stops until an operator has looked", {{"why", effect.reason.message}});
}

void Agent::carry_out(const ResumeService&) {
  log_warning("service goes on: a reign was heard that an operator began",
              {{"epoch", table_.epoch() ? table_.epoch()->number : EpochNumber{}}});
}

void Agent::carry_out(const BarRequest& effect) {
  CHECK(current_.bar != nullptr, "a request is barred that nobody asked for");
  const auto& epoch = table_.epoch();
  resources_.at(effect.resource)
      ->bar_request(
          effect.request, epoch ? epoch->number : EpochNumber{},
          [this, ticket = effect.after, answer = std::move(current_.bar)](const RequestVerdict& verdict) {
            after(ticket, [answer, verdict] { answer(verdict); });
          });
}

void Agent::carry_out(const AnswerRequestBusy& effect) {
  CHECK(current_.bar != nullptr, "an answer to a bar that nobody asked for");
  after(effect.after, [answer = std::move(current_.bar)] { answer(RequestVerdict{}); });
}

void Agent::carry_out(const RaiseFloors& effect) {
  resources_.at(effect.resource)->raise_floors(effect.floors);
}

void Agent::carry_out(const DeleteMarkers& effect) {
  resources_.at(effect.resource)->delete_markers(effect.floors, effect.limit);
}

}  // namespace troth::agent
