#include "coordinator/runtime/wire.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/digest.h"
#include "coordinator/runtime/wire_parts.h"
#include "thrift/address.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kMaxReason = 1024;
constexpr std::size_t kMaxOperatorName = 64;
constexpr std::size_t kMaxBarResources = 256;  // no transaction has more branches

Status read_options(const wire::ExecuteOptions& options, Work& work) {
  if (options.__isset.acknowledgement) {
    switch (options.acknowledgement) {
      case wire::Acknowledgement::APPLIED: work.acknowledgement = Acknowledgement::kApplied; break;
      case wire::Acknowledgement::DECIDED: work.acknowledgement = Acknowledgement::kDecided; break;
      default: return unknown_value("options.acknowledgement", options.acknowledgement);
    }
  }
  if (options.__isset.protocol && options.protocol != wire::Protocol::TWO_PHASE) {
    return unknown_value("options.protocol", options.protocol);
  }
  if (options.__isset.isolation && (options.isolation < wire::Isolation::SERVER_DEFAULT ||
                                    options.isolation > wire::Isolation::SERIALIZABLE)) {
    return unknown_value("options.isolation", options.isolation);
  }
  if (options.__isset.timeout_ms) {
    const auto timeout = milliseconds_of("options.timeout_ms", options.timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
    work.timeout = *timeout;
  }
  if (options.__isset.statement_timeout_ms) {
    const auto timeout = milliseconds_of("options.statement_timeout_ms", options.statement_timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
  }
  if (options.__isset.max_rows && options.max_rows < 0) {
    return refuse(fmt::format("options.max_rows is {}: expected 0 or more", options.max_rows));
  }
  return {};
}

// What the same request must have in common with its retry: the work and how it is isolated.
Digest digest_of(const wire::ExecuteRequest& request) {
  wire::ExecuteRequest content;
  content.branches = request.branches;
  if (request.__isset.options && request.options.__isset.isolation) {
    wire::ExecuteOptions options;
    options.__set_isolation(request.options.isolation);
    content.__set_options(options);
  }
  return sha256(bytes_of(content));
}

std::size_t size_of(const wire::ExecuteRequest& request) {
  std::size_t bytes = sizeof request;
  for (const auto& branch : request.branches) {
    bytes += sizeof branch;
    for (const auto& statement : branch.statements)
      bytes += bytes_in(statement);
  }
  return bytes;
}

Result<TransactionId> replied_id(const std::string& text) {
  auto id = TransactionId::parse(text);
  if (!id) id.error().effect = Effect::kUnknown;
  return id;
}

}  // namespace

Result<RequestKey> request_key_of(const std::string& client, const std::string& request_id) {
  if (client.empty()) {
    return refuse(
        "client_name is empty: a request_id is remembered for its client, so name the calling service");
  }
  if (auto checked = check_text("client_name", client, kMaxClientName); !checked)
    return std::unexpected(checked.error());
  const auto id = RequestId::parse(request_id);
  if (!id) return std::unexpected(id.error());
  return RequestKey{client, *id};
}

Result<Work> work_of(const wire::ExecuteRequest& request) {
  Work work;
  if (request.branches.empty())
    return refuse("the request has no branches: name at least one resource and its statements");
  for (const auto& branch : request.branches) {
    auto resource = parse_resource_name(branch.resource);
    if (!resource) return std::unexpected(std::move(resource.error()));
    if (branch.statements.empty()) {
      return refuse(fmt::format("the branch in resource {} has no statements", resource->value));
    }
    const bool repeated =
        std::ranges::any_of(work.branches, [&](const auto& b) { return b.resource == *resource; });
    if (repeated) {
      return refuse(
          fmt::format("resource {} stands in two branches: put its statements into one", resource->value));
    }
    work.branches.push_back({*std::move(resource), branch.read_only});
  }
  // No part of the content: an earlier attempt may have committed without this mistake (attack 40).
  const auto of_this_call = [&request](Error error) {
    if (request.__isset.request_id) error.effect = Effect::kUnknown;
    return std::unexpected(std::move(error));
  };
  if (auto checked = check_text("client_name", request.client_name, kMaxClientName); !checked)
    return std::unexpected(std::move(checked.error()));
  for (const auto& checked : {check_text("label", request.label, kMaxLabel),
                              check_text("traceparent", request.traceparent, kMaxTraceparent)}) {
    if (!checked) return of_this_call(checked.error());
  }
  work.client = request.client_name;
  work.label = request.label;
  if (request.__isset.options) {
    if (auto read = read_options(request.options, work); !read) return of_this_call(std::move(read.error()));
  }
  if (request.__isset.request_id) {
    auto key = request_key_of(request.client_name, request.request_id);
    if (!key) return std::unexpected(std::move(key.error()));
    work.request = *std::move(key);
    work.digest = digest_of(request);
  }
  work.bytes = size_of(request);
  return work;
}

Result<StatusRequested> status_of(const wire::StatusRequest& request) {
  StatusRequested status;
  if (request.__isset.transaction_id == request.__isset.request_id) {
    return refuse("status takes either a transaction_id or a request_id with its client_name");
  }
  if (request.__isset.transaction_id) {
    if (request.bar) return refuse("bar goes with a request_id: a transaction that was begun ends by itself");
    auto id = TransactionId::parse(request.transaction_id);
    if (!id) return std::unexpected(std::move(id.error()));
    status.subject = *std::move(id);
  } else {
    auto key = request_key_of(request.client_name, request.request_id);
    if (!key) return std::unexpected(std::move(key.error()));
    status.subject = *std::move(key);
    status.bar = request.bar;
    if (request.bar && request.__isset.consistency && request.consistency != wire::Consistency::LINEARIZABLE)
      return refuse("bar goes with consistency LINEARIZABLE: only the leader can make sure of anything");
  }
  if (request.bar_resources.size() > kMaxBarResources) {
    return refuse(fmt::format("bar_resources names {} resources, at most {} are taken",
                              request.bar_resources.size(), kMaxBarResources));
  }
  for (const auto& name : request.bar_resources) {
    auto resource = parse_resource_name(name);
    if (!resource) return std::unexpected(std::move(resource.error()));
    // Named twice, it is settled once.
    if (std::ranges::find(status.resources, *resource) == status.resources.end())
      status.resources.push_back(*std::move(resource));
  }
  if (request.__isset.timeout_ms) {
    const auto timeout = milliseconds_of("timeout_ms", request.timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
    status.timeout = *timeout;
  }
  return status;
}

Status check_operators_words(const std::string& operator_name, const std::string& reason) {
  if (reason.empty() || operator_name.empty())
    return refuse("this needs a reason and an operator's name: both go to the audit trail");
  if (auto checked = check_text("reason", reason, kMaxReason); !checked) return checked;
  return check_text("operator_name", operator_name, kMaxOperatorName);
}

Status check_resolution(const wire::ResolveRequest& request) {
  return check_operators_words(request.operator_name, request.reason);
}

Result<RegistrationRequested> registration_of(const wire::RegisterRequest& request) {
  RegistrationRequested registration;
  if (request.agent_id.empty() || request.incarnation <= 0 || request.address.empty()) {
    return refuse("a registration names agent_id, incarnation and address");
  }
  for (const auto& checked :
       {check_text("agent_id", request.agent_id, 64), check_text("address", request.address, 280)}) {
    if (!checked) return std::unexpected(checked.error());
  }
  const auto address = rpc::Address::parse(request.address);
  if (!address || address->port == 0) {
    return refuse(fmt::format(
        "the agent's address '{}' cannot be called: expected host:port; see `advertise`", request.address));
  }
  registration.agent = AgentId{request.agent_id};
  registration.incarnation = Incarnation{static_cast<std::uint64_t>(request.incarnation)};
  registration.address = request.address;
  for (const auto& resource : request.resources) {
    auto name = parse_resource_name(resource.name);
    if (!name) return std::unexpected(std::move(name.error()));
    for (const auto& checked : {check_text("resource kind", resource.kind, 32),
                                check_text("resource identity", resource.identity, 256)}) {
      if (!checked) return std::unexpected(checked.error());
    }
    registration.resources.push_back({*std::move(name), resource.kind, resource.identity});
  }
  for (const auto& taken : request.take_over) {
    auto name = parse_resource_name(taken);
    if (!name) return std::unexpected(std::move(name.error()));
    registration.take_over.push_back(*std::move(name));
  }
  return registration;
}

wire::LeaderHeader header_of(const ClusterId& cluster, const Epoch& epoch, EpochNumber new_reign,
                             const Position& watermark) {
  wire::LeaderHeader header;
  header.cluster = cluster.value;
  header.epoch.number = epoch.number.value;
  header.epoch.nonce = static_cast<std::int64_t>(epoch.nonce.value);
  header.new_reign = new_reign.value;
  header.watermark_epoch = watermark.epoch.value;
  header.watermark_sequence = static_cast<std::int64_t>(watermark.sequence.value);
  return header;
}

wire::PrepareRequest prepare_of(const wire::ExecuteRequest& request, const SendPrepare& send,
                                const wire::LeaderHeader& header) {
  wire::PrepareRequest prepare;
  const auto& branch = send.to.branch;
  prepare.header = header;
  prepare.incarnation = static_cast<std::int64_t>(send.incarnation.value);
  prepare.transaction_id = branch.transaction.text();
  prepare.branch = static_cast<std::int32_t>(branch.branch.value);
  prepare.work = request.branches.at(branch.branch.value - 1);
  prepare.statement_count = static_cast<std::int32_t>(prepare.work.statements.size());
  if (send.request) {
    wire::RequestKey key;
    key.client = send.request->client;
    key.request_id = send.request->id.text();
    prepare.__set_request(key);
  }
  prepare.digest.assign(send.digest.bytes.begin(), send.digest.bytes.end());
  prepare.one_phase = send.one_phase;
  prepare.timeout_ms =
      std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(send.timeout).count());
  prepare.isolation = wire::Isolation::SERVER_DEFAULT;
  prepare.max_rows = 0;
  if (request.__isset.options) {
    const auto& options = request.options;
    if (options.__isset.isolation) prepare.isolation = options.isolation;
    if (options.__isset.statement_timeout_ms)
      prepare.__set_statement_timeout_ms(options.statement_timeout_ms);
    if (options.__isset.max_rows) prepare.max_rows = options.max_rows;
  }
  if (request.__isset.traceparent) prepare.__set_traceparent(request.traceparent);
  if (request.__isset.label) prepare.__set_label(request.label);
  return prepare;
}

wire::FinishRequest finish_of(const BranchAddress& to, const wire::LeaderHeader& header) {
  wire::FinishRequest finish;
  finish.header = header;
  finish.transaction_id = to.branch.transaction.text();
  finish.branch = static_cast<std::int32_t>(to.branch.branch.value);
  finish.resource = to.resource.value;
  return finish;
}

wire::ResolveBranchRequest resolve_of(const SendResolve& send) {
  wire::ResolveBranchRequest request;
  request.resource = send.resource.value;
  request.transaction_id = send.branch.transaction.text();
  request.branch = static_cast<std::int32_t>(send.branch.branch.value);
  request.commit = send.commit;
  request.reason = send.reason;
  request.operator_name = send.operator_name;
  return request;
}

wire::SettleRequest settle_of(const SendSettle& send, const wire::LeaderHeader& header) {
  wire::SettleRequest settle;
  settle.header = header;
  settle.resource = send.resource.value;
  if (send.branch) {
    settle.transaction_id = send.branch->transaction.text();
    settle.branch = static_cast<std::int32_t>(send.branch->branch.value);
  }
  if (send.request) {
    wire::RequestKey key;
    key.client = send.request->client;
    key.request_id = send.request->id.text();
    settle.__set_request(key);
  }
  return settle;
}

Result<Vote> vote_of(wire::PrepareReply&& reply) {
  const auto refusal = [&] {
    if (reply.__isset.refusal) return wire::to_error(reply.refusal);
    Error unexplained;
    unexplained.code = ErrorCode::kInternal;
    unexplained.effect = Effect::kNone;
    unexplained.message = "the agent refused the branch without a reason";
    return unexplained;
  };
  switch (reply.vote) {
    case wire::Vote::YES: return VotedYes{bytes_of(reply.result)};
    case wire::Vote::NO: return VotedNo{refusal()};
    case wire::Vote::READ_ONLY: return VotedReadOnly{bytes_of(reply.result)};
    case wire::Vote::COMMITTED: return VotedCommitted{bytes_of(reply.result)};
    case wire::Vote::ALREADY_COMMITTED: {
      auto as = replied_id(reply.committed_as);
      if (!as) return std::unexpected(std::move(as.error()));
      return VotedAlreadyCommitted{*std::move(as)};
    }
    case wire::Vote::UNDECIDED: return VotedUndecided{refusal()};
  }
  return fail(ErrorCode::kInternal, Effect::kUnknown,
              fmt::format("the agent's vote {} is not known to this version", static_cast<int>(reply.vote)));
}

BranchEnd end_of(wire::BranchEnd::type end) {
  switch (end) {
    case wire::BranchEnd::COMMITTED: return BranchEnd::kCommitted;
    case wire::BranchEnd::ROLLED_BACK: return BranchEnd::kRolledBack;
    case wire::BranchEnd::UNDECIDED: return BranchEnd::kUndecided;
    case wire::BranchEnd::LOST: return BranchEnd::kLost;
    case wire::BranchEnd::TOO_OLD: return BranchEnd::kTooOld;
    case wire::BranchEnd::HEURISTIC_COMMITTED: return BranchEnd::kHeuristicCommitted;
    case wire::BranchEnd::HEURISTIC_ROLLED_BACK: return BranchEnd::kHeuristicRolledBack;
  }
  return BranchEnd::kUndecided;  // a newer agent's word: asking again is always safe
}

wire::ExecuteResult result_of(const Committed& committed) {
  wire::ExecuteResult result;
  result.transaction_id = committed.transaction.text();
  for (const auto& bytes : committed.results)
    result.branches.push_back(from_bytes<wire::BranchResult>(bytes));
  result.already_committed = committed.already_committed;
  result.acknowledged = committed.acknowledged == Acknowledgement::kApplied ? wire::Acknowledgement::APPLIED
                                                                            : wire::Acknowledgement::DECIDED;
  for (const auto& resource : committed.pending)
    result.pending_resources.push_back(resource.value);
  return result;
}

wire::TrothError error_of(const Failed& failed) {
  auto error = wire::from_error(failed.error);
  if (failed.transaction) error.__set_transaction_id(failed.transaction->text());
  return error;
}

wire::TransactionState::type state_of(TransactionState state) {
  switch (state) {
    case TransactionState::kActive: return wire::TransactionState::ACTIVE;
    case TransactionState::kPreparing: return wire::TransactionState::PREPARING;
    case TransactionState::kPending: return wire::TransactionState::PENDING;
    case TransactionState::kCommitted: return wire::TransactionState::COMMITTED;
    case TransactionState::kNotCommitted: return wire::TransactionState::NOT_COMMITTED;
    case TransactionState::kUnknown: return wire::TransactionState::UNKNOWN;
    case TransactionState::kTooOld: return wire::TransactionState::TOO_OLD;
    case TransactionState::kHeuristicMixed: return wire::TransactionState::HEURISTIC_MIXED;
    case TransactionState::kHeuristicCommit: return wire::TransactionState::HEURISTIC_COMMIT;
    case TransactionState::kHeuristicRollback: return wire::TransactionState::HEURISTIC_ROLLBACK;
  }
  return wire::TransactionState::UNKNOWN;
}

wire::BranchStatus branch_of(const BranchReport& report) {
  wire::BranchStatus branch;
  branch.resource = report.resource.value;
  branch.branch = static_cast<std::int32_t>(report.branch.value);
  branch.state = report.state;
  return branch;
}

wire::StatusReply reply_of(const StatusReport& report) {
  wire::StatusReply reply;
  reply.state = state_of(report.state);
  if (report.transaction) reply.__set_transaction_id(report.transaction->text());
  for (const auto& branch : report.branches)
    reply.branches.push_back(branch_of(branch));
  if (!report.detail.empty()) reply.__set_detail(report.detail);
  if (!report.label.empty()) reply.__set_label(report.label);
  return reply;
}

wire::Decision::type decision_of(InquiryDecision decision) {
  switch (decision) {
    case InquiryDecision::kCommit: return wire::Decision::COMMIT;
    case InquiryDecision::kAbort: return wire::Decision::ABORT;
    case InquiryDecision::kUndecided: return wire::Decision::UNDECIDED;
    case InquiryDecision::kTooOld: return wire::Decision::TOO_OLD;
  }
  return wire::Decision::UNDECIDED;
}

}  // namespace troth::coordinator
