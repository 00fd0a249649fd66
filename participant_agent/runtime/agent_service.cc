#include "participant_agent/runtime/agent_service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "base/version.h"
#include "participant_agent/dialect/xid.h"
#include "participant_agent/runtime/wire.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/refusal.h"

namespace troth::agent {
namespace {

using rpc::refuse_with;

LeaderStamp stamp_of(const Leader& leader) {
  return {leader.cluster, leader.epoch, leader.watermark, leader.new_reign};
}

Agent::Refusal refusing(const AgentService::Refuse& refuse) {
  return [refuse](const Error& error) { refuse_with(refuse, error); };
}

std::function<void(FinishAnswer)> finishing(const AgentService::Send<wire::FinishReply>& send) {
  return [send](const FinishAnswer& answer) {
    wire::FinishReply reply;
    reply.outcome = wire_of(answer.end);
    if (!answer.detail.empty()) reply.__set_detail(answer.detail);
    send(reply);
  };
}

Status check_operator(const std::string& reason, const std::string& name) {
  if (!reason.empty() && !name.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              "this needs a reason and an operator's name: both go to the audit trail");
}

std::int64_t ms_since(Instant since) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(boot_now() - since).count();
}

bool is_in_doubt(const OpenBranch& branch) {
  return branch.phase == Branch::Phase::kInDoubt || branch.phase == Branch::Phase::kFinishing;
}

}  // namespace

void AgentService::agent_hello(Send<wire::Hello> send, Refuse refuse, const wire::Hello& hello) {
  if (const auto fits = rpc::check_hello(hello, agent_.cluster()); !fits)
    return refuse_with(refuse, fits.error());
  send(rpc::hello_of("troth-agent", agent_.cluster()));
}

void AgentService::prepare(Send<wire::PrepareReply> send, Refuse refuse,
                           const wire::PrepareRequest& request) {
  const auto leader = leader_of(request.header);
  if (!leader) return refuse_with(refuse, leader.error());
  auto work = work_of(request);
  if (!work) {
    // Nothing ran and nothing will: a no, with its reason.
    VoteAnswer no;
    no.refusal = std::move(work.error());
    return send(reply_of(ResourceName{request.work.resource}, std::move(no)));
  }
  const auto resource = work->resource;
  agent_.prepare(
      stamp_of(*leader), *std::move(work),
      [send, resource](VoteAnswer answer) { send(reply_of(resource, std::move(answer))); },
      [send, refuse, resource](const Error& error) {
        if (error.effect != Effect::kNone) return refuse_with(refuse, error);
        VoteAnswer no;
        no.refusal = error;
        send(reply_of(resource, std::move(no)));
      });
}

void AgentService::run_statement(Send<wire::StatementReply> send, Refuse refuse,
                                 const wire::StatementRequest& request) {
  const auto leader = leader_of(request.header);
  if (!leader) return refuse_with(refuse, leader.error());
  auto work = work_of(request);
  if (!work) return refuse_with(refuse, work.error());
  auto statement = statement_of(request);
  if (!statement) return refuse_with(refuse, statement.error());
  const RowRange rows{static_cast<std::uint64_t>(std::max<std::int64_t>(0, request.from_row)),
                      static_cast<std::uint64_t>(std::max<std::int64_t>(0, request.page_rows))};
  const auto resource = work->resource;
  agent_.run_statement(
      stamp_of(*leader), *std::move(work), *std::move(statement),
      [send, resource, rows](const StatementAnswer& answer) { send(reply_of(resource, answer, rows)); },
      refusing(refuse));
}

Result<AgentService::Finish> AgentService::finish_of(const wire::FinishRequest& request) {
  const auto leader = leader_of(request.header);
  if (!leader) return std::unexpected(leader.error());
  auto id = branch_of(request.transaction_id, request.branch);
  if (!id) return std::unexpected(std::move(id.error()));
  auto resource = parse_resource_name(request.resource);
  if (!resource) return std::unexpected(std::move(resource.error()));
  return Finish{stamp_of(*leader), *std::move(id), *std::move(resource)};
}

void AgentService::commit_branch(Send<wire::FinishReply> send, Refuse refuse,
                                 const wire::FinishRequest& request) {
  const auto finish = finish_of(request);
  if (!finish) return refuse_with(refuse, finish.error());
  agent_.commit(finish->stamp, finish->id, finish->resource, finishing(send), refusing(refuse));
}

void AgentService::rollback_branch(Send<wire::FinishReply> send, Refuse refuse,
                                   const wire::FinishRequest& request) {
  const auto finish = finish_of(request);
  if (!finish) return refuse_with(refuse, finish.error());
  agent_.roll_back(finish->stamp, finish->id, finish->resource, finishing(send), refusing(refuse));
}

void AgentService::settle_branch(Send<wire::SettleReply> send, Refuse refuse,
                                 const wire::SettleRequest& request) {
  const auto leader = leader_of(request.header);
  if (!leader) return refuse_with(refuse, leader.error());
  auto resource = parse_resource_name(request.resource);
  if (!resource) return refuse_with(refuse, resource.error());
  if (request.transaction_id.empty()) {
    const auto key = request_key_of(request.request);
    if (!key) return refuse_with(refuse, key.error());
    return agent_.bar(
        stamp_of(*leader), *key, *resource,
        [send](const RequestVerdict& verdict) {
          wire::SettleReply reply;
          reply.outcome = wire_of(verdict.end);
          if (verdict.committed_as) reply.__set_committed_as(*verdict.committed_as);
          send(reply);
        },
        refusing(refuse));
  }
  const auto id = branch_of(request.transaction_id, request.branch);
  if (!id) return refuse_with(refuse, id.error());
  agent_.settle(
      stamp_of(*leader), *id, *resource,
      [send](const FinishAnswer& answer) {
        wire::SettleReply reply;
        reply.outcome = wire_of(answer.end);
        if (!answer.detail.empty()) reply.__set_detail(answer.detail);
        send(reply);
      },
      refusing(refuse));
}

void AgentService::heartbeat(Send<wire::HeartbeatReply> send, Refuse refuse,
                             const wire::HeartbeatRequest& request) {
  // [T6] Floors and ends are told to each agent apart: those of one that was here before may pass what this one owes.
  if (request.__isset.agent_id && request.agent_id != agent_.id().value) {
    return refuse_with(refuse, fail(ErrorCode::kNotOwner, Effect::kNone,
                                    fmt::format("agent {} is expected here, and this is {}: give each agent "
                                                "an address of its own",
                                                request.agent_id, agent_.id().value))
                                   .error());
  }
  const auto leader = leader_of(request.header);
  if (!leader) return refuse_with(refuse, leader.error());
  LeaderSpoke spoke;
  spoke.stamp = stamp_of(*leader);
  spoke.floors.position = {EpochNumber{static_cast<std::uint32_t>(request.floor_epoch)},
                           Sequence{static_cast<std::uint64_t>(request.floor_sequence)}};
  spoke.floors.request_ms = static_cast<std::uint64_t>(request.request_floor_ms);
  if (request.__isset.resources) {
    spoke.resources.emplace();
    for (const auto& resource : request.resources)
      spoke.resources->push_back(ResourceName{resource});
  }
  for (const auto& text : request.ended) {
    auto id = TransactionId::parse(text);
    if (!id) return refuse_with(refuse, id.error());
    spoke.ended.push_back(*std::move(id));
  }
  agent_.heartbeat(
      spoke,
      [this, send](const std::vector<TransactionId>& taken) {
        wire::HeartbeatReply reply;
        reply.agent_id = agent_.id().value;
        reply.incarnation = static_cast<std::int64_t>(agent_.incarnation().value);
        reply.resources = health();
        for (const auto& id : taken)
          reply.ended_taken.push_back(id.text());
        send(reply);
      },
      refusing(refuse));
}

wire::ResourceHealth AgentService::health_of(const Resource& resource, const BranchLoad& load) const {
  wire::ResourceHealth health;
  health.resource = resource.name().value;
  auto now = agent_.health_of(resource);
  health.state = name_of(now.state);
  health.detail = std::move(now.reason);
  health.remedy = std::move(now.remedy);
  health.in_doubt = static_cast<std::int32_t>(load.in_doubt);
  health.oldest_in_doubt_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(load.oldest_in_doubt).count();
  const auto sessions = resource.sessions();
  health.sessions = static_cast<std::int32_t>(sessions.sessions);
  health.sessions_busy = static_cast<std::int32_t>(sessions.busy);
  return health;
}

std::vector<wire::ResourceHealth> AgentService::health() const {
  std::vector<wire::ResourceHealth> all;
  const auto loads = agent_.table().loads(boot_now());
  for (const auto& [name, resource] : agent_.resources())
    all.push_back(health_of(*resource, loads.at(name)));
  return all;
}

void AgentService::agent_status(Send<wire::AgentStatus> send, Refuse) {
  wire::AgentStatus status;
  status.agent_id = agent_.id().value;
  status.incarnation = static_cast<std::int64_t>(agent_.incarnation().value);
  status.version = troth_version();
  status.resources = health();
  if (const auto& epoch = agent_.table().epoch()) {
    status.epoch.number = epoch->number.value;
    status.epoch.nonce = static_cast<std::int64_t>(epoch->nonce.value);
  }
  for (const auto& branch : agent_.table().open_branches()) {
    if (!is_in_doubt(branch)) continue;
    wire::InDoubtBranch open;
    open.resource = branch.resource.value;
    open.transaction_id = branch.id.transaction.text();
    open.branch = static_cast<std::int32_t>(branch.id.branch.value);
    open.age_ms = ms_since(branch.since);
    open.state = branch.state;
    open.waiting_for = branch.waiting_for;
    if (const auto found = agent_.resources().find(branch.resource); found != agent_.resources().end()) {
      open.__set_database_id(found->second->kind() == DatabaseKind::kPostgres
                                 ? postgres_gid_of(branch.id)
                                 : xa_literal(xa_xid_of(branch.id)));
    } else {
      open.waiting_for = "its resource, which the agent's configuration does not name any more";
    }
    status.in_doubt.push_back(std::move(open));
  }
  send(status);
}

void AgentService::resolve_branch(Send<wire::FinishReply> send, Refuse refuse,
                                  const wire::ResolveBranchRequest& request) {
  if (const auto named = check_operator(request.reason, request.operator_name); !named) {
    return refuse_with(refuse, named.error());
  }
  if (const auto own = gate_.check_operator(request.operator_name); !own)
    return refuse_with(refuse, own.error());
  const auto id = branch_of(request.transaction_id, request.branch);
  if (!id) return refuse_with(refuse, id.error());
  auto resource = parse_resource_name(request.resource);
  if (!resource) return refuse_with(refuse, resource.error());
  agent_.resolve(*id, *resource, {request.commit, request.reason, request.operator_name}, finishing(send),
                 refusing(refuse));
}

void AgentService::take_over_resource(Send<wire::ResourceHealth> send, Refuse refuse,
                                      const wire::TakeOverRequest& request) {
  if (const auto named = check_operator(request.reason, request.operator_name); !named) {
    return refuse_with(refuse, named.error());
  }
  if (const auto own = gate_.check_operator(request.operator_name); !own)
    return refuse_with(refuse, own.error());
  const ResourceName name{request.resource};
  if (const auto taken = agent_.take_over(name, {request.operator_name, request.reason}); !taken) {
    return refuse_with(refuse, taken.error());
  }
  send(health_of(*agent_.resources().at(name), agent_.table().loads(boot_now()).at(name)));
}

}  // namespace troth::agent
