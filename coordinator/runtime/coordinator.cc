#include "coordinator/runtime/coordinator.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "coordinator/runtime/crash_points.h"
#include "coordinator/runtime/wire.h"

namespace troth::coordinator {
namespace {

constexpr store::Ticket kEpochTicket{0};
constexpr std::size_t kEndedPerHeartbeat = 10'000;
constexpr std::uint32_t kLargestAgentFrame = 64U << 20;

Clocks clocks_now() {
  return {boot_now(), wall_now()};
}

}  // namespace

Coordinator::Coordinator(asio::io_context& loop, ClusterId cluster, const CoordinatorSettings& settings,
                         Events events, std::shared_ptr<Metrics> metrics, rpc::TlsPointer tls)
    : loop_(loop),
      cluster_(std::move(cluster)),
      settings_(settings),
      events_(std::move(events)),
      metrics_(std::move(metrics)),
      watch_(*metrics_, settings.slow_transaction),
      tls_(std::move(tls)),
      alarm_(loop, [this] { step(TimePassed{}); }) {}

Coordinator::~Coordinator() = default;

void Coordinator::start(store::DecisionStore& store, Nonce nonce) {
  store_ = &store;
  store_->submit({{kEpochTicket, store::AcquireEpoch{nonce, wall_now(), {}}}});
}

void Coordinator::store_answered(store::Answered answered) {
  watch_.store_answered(answered);
  if (table_) {
    const bool chosen = std::holds_alternative<store::Won>(answered.answer);
    const bool ended = std::holds_alternative<store::EndRecorded>(answered.answer);
    if (chosen) reach(CrashPoint::kAfterChooseDurable);
    if (ended) reach(CrashPoint::kAfterEndDurable);
    if (std::holds_alternative<store::ResourceRegistered>(answered.answer)) {
      reach(CrashPoint::kAfterRegistrationDurable);
    }
    return step(StoreAnswered{answered.ticket, std::move(answered.answer)});
  }
  CHECK(answered.ticket == kEpochTicket, "the store answered {} before the reign began",
        answered.ticket.value);
  if (const auto* reign = std::get_if<store::EpochAcquired>(&answered.answer)) return begin_reign(*reign);
  Error reason;
  reason.code = ErrorCode::kUnavailable;
  reason.effect = Effect::kUnknown;
  reason.message = "the decision store gave no epoch; look at its log directory, then start again";
  if (const auto* unknown = std::get_if<store::Unknown>(&answered.answer)) reason = unknown->reason;
  events_.on_stop(reason);
}

void Coordinator::begin_reign(const store::EpochAcquired& reign) {
  new_reign_ = reign.new_reign;
  table_.emplace(cluster_, reign, settings_.table, random_nonce());
  log_info("reign begins", {{"cluster", cluster_},
                            {"epoch", reign.epoch.number},
                            {"open", reign.counts.open},
                            {"ended", reign.counts.ended}});
  for (const auto& resource : reign.resources)
    link_agent(resource.agent, resource.address);
  step(ServingStarted{});
  events_.on_serving();
}

void Coordinator::shut_down(Duration grace) {
  if (!table_) return events_.on_drained();
  step(ShutdownRequested{grace});
}

void Coordinator::abandon(const Error& why) {
  CHECK(!stepping_, "a reign is abandoned in the middle of a step");
  if (table_) {
    step(ShutdownRequested{Duration::zero()});
    step(TimePassed{});
  }
  alarm_.stop();
  const auto refused = [&why] { return std::unexpected(why); };
  statuses_.answer_all(refused);
  registrations_.answer_all(refused);
  inquiries_.answer_all(refused);
  resolves_.answer_all(refused);
  for (const auto& [agent, link] : links_)
    link->close();
  abandoned_ = true;
}

void Coordinator::execute(std::shared_ptr<const wire::ExecuteRequest> request, Work work,
                          std::function<void(Answer)> answer) {
  const auto call = next_call();
  executes_.emplace(call.value, ExecuteCall{std::move(request), std::move(answer), boot_now()});
  step(ExecuteRequested{call, std::move(work)});
}

void Coordinator::begin(std::shared_ptr<const wire::ExecuteRequest> names, Work work,
                        std::function<void(Answer)> answer) {
  watch_.forget_ended(*table_);
  execute(std::move(names), std::move(work), std::move(answer));
}

void Coordinator::run_statement(StatementRequested request, StatementPart part,
                                std::function<void(AnswerStatement)> answer) {
  request.call = next_call();
  statements_.emplace(
      request.call.value,
      StatementCall{std::make_shared<const StatementPart>(std::move(part)), std::move(answer), boot_now()});
  step(std::move(request));
}

void Coordinator::commit(CommitRequested request, std::function<void(Answer)> answer) {
  request.call = next_call();
  endings_.emplace(request.call.value, EndingCall{request.transaction, true, std::move(answer), boot_now()});
  step(std::move(request));
}

void Coordinator::roll_back(RollbackRequested request, std::function<void(Answer)> answer) {
  request.call = next_call();
  endings_.emplace(request.call.value, EndingCall{request.transaction, false, std::move(answer), boot_now()});
  step(std::move(request));
}

void Coordinator::status(StatusRequested request, std::function<void(Result<StatusReport>)> answer) {
  request.call = next_call();
  statuses_.add(request.call, std::move(answer));
  step(std::move(request));
}

void Coordinator::register_agent(RegistrationRequested request,
                                 std::function<void(Result<AgentRegistered>)> answer) {
  // A link is kept for as long as this process runs.
  if (!links_.contains(request.agent) && links_.size() >= settings_.max_agents) {
    return answer(fail(ErrorCode::kOverloaded, Effect::kNone,
                       fmt::format("{} agents are registered here (max. limits.agents): see which of them "
                                   "should not be, then start the coordinator again",
                                   links_.size())));
  }
  request.call = next_call();
  registrations_.add(request.call, [this, agent = request.agent, address = request.address,
                                    answer = std::move(answer)](auto numbers) {
    if (!numbers) return answer(std::unexpected(std::move(numbers.error())));
    link_agent(agent, address);
    answer(AgentRegistered{*std::move(numbers), table_->epoch()});
  });
  step(std::move(request));
}

void Coordinator::inquire(const AgentId& agent, BranchId branch,
                          std::function<void(Result<Inquired>)> answer) {
  const auto call = next_call();
  inquiries_.add(call, [this, agent, answer = std::move(answer)](Result<InquiryDecision> decision) {
    if (!decision) return answer(std::unexpected(std::move(decision.error())));
    answer(Inquired{*decision, header(agent)});
  });
  step(InquiryReceived{call, std::move(branch)});
}

void Coordinator::resolve(ResolveRequested request, std::function<void(Result<ResolveReport>)> answer) {
  request.call = next_call();
  resolves_.add(request.call, std::move(answer));
  step(std::move(request));
}

std::vector<OpenTransactionReport> Coordinator::open_transactions(std::size_t limit) const {
  return table_->open_transactions(clocks_now(), limit);
}

AgentLink* Coordinator::link(const AgentId& agent) {
  const auto found = links_.find(agent);
  return found == links_.end() ? nullptr : found->second.get();
}

void Coordinator::link_agent(const AgentId& agent, const std::string& address) {
  const auto parsed = rpc::Address::parse(address);
  if (!parsed) {
    log_error("agent registered an address that cannot be called", {{"agent", agent}, {"address", address}});
    return;
  }
  auto& link = links_[agent];
  if (link && link->address() == *parsed) return;
  AgentLink::Owner owner;
  owner.cluster = cluster_;
  owner.tls = tls_;
  owner.heartbeat_interval = settings_.heartbeat_interval;
  owner.call_timeout = settings_.agent_call_timeout;
  const auto& limits = settings_.table;
  owner.max_calls = limits.undecided * limits.branches + limits.open + limits.questions;
  owner.max_unsent_bytes = 2 * limits.bytes + settings_.max_frame_bytes;
  // Of an agent's largest answer, which is one branch's results; a client's request is no larger on its way.
  owner.max_frame_bytes = std::max(settings_.max_frame_bytes, kLargestAgentFrame);
  owner.heartbeat = [this, agent] { return heartbeat(agent); };
  owner.on_connected = [this, agent](Incarnation incarnation) { step(AgentConnected{agent, incarnation}); };
  owner.on_lost = [this, agent] { step(AgentLost{agent}); };
  owner.on_heartbeat = [this, agent](const wire::HeartbeatReply& reply) {
    // A late registration of another start of it had it taken for gone, and its connection never broke.
    const auto is_out_of_reach = [&](const auto& each) {
      return each.record.agent == agent && !each.connected;
    };
    if (std::ranges::any_of(table_->resources(), is_out_of_reach))
      step(AgentConnected{agent, Incarnation{static_cast<std::uint64_t>(reply.incarnation)}});
    EndedTaken taken{agent, {}};
    for (const auto& text : reply.ended_taken) {
      if (auto id = TransactionId::parse(text)) taken.transactions.push_back(*std::move(id));
    }
    if (!taken.transactions.empty()) step(std::move(taken));
  };
  // An agent that moved: the old link goes after the running callback, which may be its own, and after the
  // answers to what was called on it.
  if (link) {
    if (link->is_connected()) step(AgentLost{agent});
    link->close();
    asio::post(loop_, [old = std::shared_ptr<AgentLink>(std::move(link))] {});
  }
  link = std::make_unique<AgentLink>(loop_, agent, *parsed, std::move(owner));
}

wire::HeartbeatRequest Coordinator::heartbeat(const AgentId& agent) const {
  wire::HeartbeatRequest request;
  request.header = header(agent);
  request.__set_agent_id(agent.value);
  const auto floors = table_->floors(agent);
  request.floor_epoch = floors.transactions.epoch.value;
  request.floor_sequence = static_cast<std::int64_t>(floors.transactions.sequence.value);
  request.request_floor_ms = static_cast<std::int64_t>(floors.request_ms);
  request.__isset.resources = true;
  for (const auto& resource : table_->resources())
    if (resource.record.agent == agent) request.resources.push_back(resource.record.name.value);
  for (const auto& ended : table_->ended_to_tell(agent, kEndedPerHeartbeat))
    request.ended.push_back(ended.text());
  if (!request.ended.empty()) reach(CrashPoint::kAfterEndedTold);
  return request;
}

wire::LeaderHeader Coordinator::header(const AgentId& agent) const {
  return header(table_->watermark(agent));
}

wire::LeaderHeader Coordinator::header(const Position& watermark) const {
  return header_of(cluster_, table_->epoch(), new_reign_, watermark);
}

// ---- the table's step and what it says

void Coordinator::step(TableInput input) {
  CHECK(table_.has_value());
  if (abandoned_) return;  // a late answer of an agent
  inputs_.push_back(std::move(input));
  if (stepping_) return;  // the effects of the running step come first [D1]
  stepping_ = true;
  while (!inputs_.empty()) {
    auto next = std::move(inputs_.front());
    inputs_.pop_front();
    auto effects = table_->step(clocks_now(), std::move(next));
    for (auto& effect : effects)
      std::visit([this](auto& one) { carry_out_one(one); }, effect);
    submit_asked();
  }
  stepping_ = false;
  alarm_.set(table_->next_due());
}

// What a step asks of the store goes there as one batch.
void Coordinator::submit_asked() {
  if (asked_.empty()) return;
  const auto asks_for = [this]<typename Request>(std::type_identity<Request>) {
    return std::ranges::any_of(
        asked_, [](const auto& asked) { return std::holds_alternative<Request>(asked.request); });
  };
  const bool choosing = asks_for(std::type_identity<store::Choose>());
  if (choosing) reach(CrashPoint::kBeforeChoose);
  if (asks_for(std::type_identity<store::End>())) reach(CrashPoint::kBeforeEnd);
  store_->submit(std::exchange(asked_, {}));
  if (choosing) reach(CrashPoint::kAfterChooseSubmitted);
}

void Coordinator::carry_out_one(SendPrepare& send) {
  reach(CrashPoint::kAfterAdmission);
  const auto branch = send.to.branch;
  const auto call = executes_.find(send.work_of.value);
  watch_.preparing(send, call == executes_.end() ? nullptr : &call->second);
  auto* agent = link(send.to.agent);
  CHECK(agent != nullptr, "work for agent {}, which was never linked", send.to.agent.value);
  agent->prepare(prepare_message(send), send.timeout,
                 [this, branch, one_phase = send.one_phase](Result<wire::PrepareReply> reply) {
                   reach(one_phase ? CrashPoint::kAfterOnePhaseReply : CrashPoint::kAfterFirstVote);
                   if (!reply) {
                     const bool never_sent = reply.error().effect == Effect::kNone;
                     return step(PrepareFailed{branch, never_sent, std::move(reply.error())});
                   }
                   auto vote = vote_of(*std::move(reply));
                   if (!vote) return step(PrepareFailed{branch, false, std::move(vote.error())});
                   step(PrepareReplied{branch, *std::move(vote)});
                 });
  if (send.one_phase) return reach(CrashPoint::kAfterOnePhaseSent);
  if (branch.branch.value == 1) reach(CrashPoint::kAfterFirstPrepareSent);
  if (call != executes_.end() && branch.branch.value == call->second.request->branches.size())
    reach(CrashPoint::kAfterPreparesSent);
}

wire::PrepareRequest Coordinator::prepare_message(const SendPrepare& send) const {
  if (send.statements) return prepare_of(send, header(send.to.watermark));
  const auto call = executes_.find(send.work_of.value);
  CHECK(call != executes_.end(), "the work of {} is gone before its answer",
        send.to.branch.transaction.text());
  return prepare_of(*call->second.request, send, header(send.to.watermark));
}

void Coordinator::carry_out_one(SendStatement& send) {
  const auto call = statements_.find(send.call.value);
  CHECK(call != statements_.end(), "a statement of {} is gone before its answer",
        send.to.branch.transaction.text());
  auto* agent = link(send.to.agent);
  CHECK(agent != nullptr, "a statement for agent {}, which was never linked", send.to.agent.value);
  reach(CrashPoint::kBeforeStatementSent);
  agent->run_statement(message_of(send, *call->second.part, header(send.to.watermark)), send.timeout,
                       [this, branch = send.to.branch, call = send.call](Result<wire::StatementReply> reply) {
                         if (!reply) {
                           const bool never_sent = reply.error().effect == Effect::kNone;
                           return step(StatementFailed{branch, call, never_sent, std::move(reply.error())});
                         }
                         reach(CrashPoint::kAfterStatementReply);
                         step(StatementReplied{branch, call, answer_of(*reply)});
                       });
}

void Coordinator::carry_out_one(SendCommit& send) {
  auto* agent = link(send.to.agent);
  if (agent == nullptr) return;  // not registered since this start: the table sends it again
  agent->commit(
      finish_of(send.to, header(send.to.watermark)),
      [this, branch = send.to.branch, resource = send.to.resource](Result<wire::FinishReply> reply) {
        if (!reply) return;
        reach(CrashPoint::kAfterFirstAcknowledgement);
        CommitReplied replied{branch, end_of(reply->outcome), reply->detail};
        watch_.commit_replied(replied, resource, *table_);
        step(std::move(replied));
      });
  reach(send.to.branch.branch.value == 1 ? CrashPoint::kAfterFirstCommitSent : CrashPoint::kAfterCommitsSent);
}

void Coordinator::carry_out_one(SendRollback& send) {
  reach(CrashPoint::kBeforeRollbackSent);
  if (auto* agent = link(send.to.agent)) agent->rollback(finish_of(send.to, header(send.to.watermark)));
  reach(CrashPoint::kAfterRollbackSent);
}

void Coordinator::carry_out_one(SendRelease& send) {
  if (auto* agent = link(send.to.agent)) agent->rollback(finish_of(send.to, header(send.to.watermark)));
}

void Coordinator::carry_out_one(SendSettle& send) {
  const auto answer = [this, ticket = send.ticket](Result<wire::SettleReply> reply) {
    SettleReplied settled;
    settled.ticket = ticket;
    if (reply) {
      reach(CrashPoint::kAfterSettleReply);
      settled.end = end_of(reply->outcome);
      settled.detail = reply->detail;
      if (reply->__isset.committed_as) {
        auto as = TransactionId::parse(reply->committed_as);
        if (as) settled.committed_as = *std::move(as);
      }
    } else {
      settled.detail = reply.error().message;
    }
    step(std::move(settled));
  };
  auto* agent = link(send.agent);
  if (agent == nullptr) {
    asio::post(loop_, [answer] {
      answer(fail(ErrorCode::kUnavailable, Effect::kNone,
                  "the resource's agent has not registered since this start"));
    });
    return;
  }
  agent->settle(settle_of(send, header(send.watermark)), answer);
  reach(CrashPoint::kAfterSettleSent);
}

void Coordinator::carry_out_one(AskStore& ask) {
  watch_.asking(ask);
  asked_.push_back({ask.ticket, std::move(ask.request)});
}

void Coordinator::carry_out_one(AnswerExecute& answer) {
  if (const auto ending = endings_.find(answer.call.value); ending != endings_.end()) {
    const auto call = std::move(ending->second);
    endings_.erase(ending);
    watch_.answering(answer.answer, call);
    return call.answer(std::move(answer.answer));
  }
  const auto found = executes_.find(answer.call.value);
  CHECK(found != executes_.end(), "call {} is answered twice", answer.call.value);
  if (const auto* committed = std::get_if<Committed>(&answer.answer)) {
    reach(committed->acknowledged == Acknowledgement::kApplied ? CrashPoint::kBeforeAppliedAnswer
                                                               : CrashPoint::kBeforeDecidedAnswer);
  } else if (std::holds_alternative<Failed>(answer.answer)) {
    reach(CrashPoint::kBeforeAbortAnswer);
  }
  const auto call = std::move(found->second);
  executes_.erase(found);
  watch_.answering(answer.answer, call);
  call.answer(std::move(answer.answer));
  // The answer is on its way when the loop turns next.
  asio::post(loop_, [] { reach(CrashPoint::kAfterAnswer); });
}

void Coordinator::carry_out_one(AnswerStatement& answer) {
  const auto found = statements_.find(answer.call.value);
  CHECK(found != statements_.end(), "statement call {} is answered twice", answer.call.value);
  const auto call = std::move(found->second);
  statements_.erase(found);
  watch_.answering(answer, call);
  call.answer(std::move(answer));
}

void Coordinator::carry_out_one(AnswerStatus& answer) {
  if (const auto ending = endings_.find(answer.call.value); ending != endings_.end()) {
    const auto call = std::move(ending->second);
    endings_.erase(ending);
    auto said = call.commits ? commit_answer_of(call.transaction, answer.report)
                             : rollback_answer_of(call.transaction, answer.report);
    watch_.answering(said, call);
    return call.answer(std::move(said));
  }
  statuses_.answer(answer.call, std::move(answer.report));
}

void Coordinator::carry_out_one(AnswerInquiry& answer) {
  inquiries_.answer(answer.call, answer.decision);
}

void Coordinator::carry_out_one(AnswerRegistration& answer) {
  registrations_.answer(answer.call, std::move(answer.numbers));
}

void Coordinator::carry_out_one(AnswerResolve& answer) {
  resolves_.answer(answer.call, std::move(answer.report));
}

void Coordinator::carry_out_one(SendResolve& send) {
  const auto answer = [this, call = send.call, agent = send.agent,
                       report = send.report](const Result<wire::FinishReply>& reply) mutable {
    report.detail += fmt::format("; agent {}: {}", agent.value,
                                 reply ? name_of(end_of(reply->outcome)) : reply.error().message);
    if (reply && !reply->detail.empty()) report.detail += ", " + reply->detail;
    resolves_.answer(call, std::move(report));
  };
  auto* agent = link(send.agent);
  CHECK(agent != nullptr, "agent {} is connected without a link", send.agent.value);
  agent->resolve(resolve_of(send), answer);
}

void Coordinator::carry_out_one(StopServing& stop) {
  events_.on_stop(stop.reason);
}

void Coordinator::carry_out_one(DrainFinished&) {
  events_.on_drained();
}

}  // namespace troth::coordinator
