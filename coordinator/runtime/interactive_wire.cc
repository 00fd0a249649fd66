#include "coordinator/runtime/interactive_wire.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/digest.h"
#include "coordinator/answers.h"
#include "coordinator/runtime/wire.h"
#include "coordinator/runtime/wire_parts.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

std::int64_t at_least_one_ms(Duration duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

void set_request(std::optional<RequestKey> request, auto& message) {
  if (!request) return;
  wire::RequestKey key;
  key.client = std::move(request->client);
  key.request_id = request->id.text();
  message.__set_request(key);
}

Result<TransactionId> transaction_of(const std::string& text, const std::string& client) {
  if (auto checked = check_text("client_name", client, kMaxClientName); !checked)
    return std::unexpected(std::move(checked.error()));
  return TransactionId::parse(text);
}

// What each statement's message has in common with the others of its transaction.
Result<wire::StatementRequest> shared_part(const wire::BeginRequest& request) {
  wire::StatementRequest shared;
  shared.isolation = wire::Isolation::SERVER_DEFAULT;
  if (request.__isset.traceparent) shared.__set_traceparent(request.traceparent);
  if (request.__isset.label) shared.__set_label(request.label);
  if (!request.__isset.options) return shared;
  const auto& options = request.options;
  if (options.__isset.isolation) {
    if (options.isolation < wire::Isolation::SERVER_DEFAULT ||
        options.isolation > wire::Isolation::SERIALIZABLE)
      return unknown_value("options.isolation", options.isolation);
    shared.isolation = options.isolation;
  }
  shared.read_only = options.read_only;
  if (options.__isset.statement_timeout_ms) {
    if (auto timeout = milliseconds_of("options.statement_timeout_ms", options.statement_timeout_ms);
        !timeout)
      return std::unexpected(std::move(timeout.error()));
    shared.__set_statement_timeout_ms(options.statement_timeout_ms);
  }
  if (options.__isset.max_rows) {
    if (options.max_rows < 0)
      return refuse(fmt::format("options.max_rows is {}: expected 0 or more", options.max_rows));
    shared.max_rows = options.max_rows;
  }
  return shared;
}

Result<StatementRequested> asked_of(const std::string& transaction, const std::string& client,
                                    const std::string& resource, std::int32_t number) {
  auto id = transaction_of(transaction, client);
  if (!id) return std::unexpected(std::move(id.error()));
  auto name = parse_resource_name(resource);
  if (!name) return std::unexpected(std::move(name.error()));
  if (number <= 0)
    return refuse(fmt::format(
        "number is {}: the statements of one resource are numbered 1, 2, .. by the caller", number));
  StatementRequested asked;
  asked.transaction = *std::move(id);
  asked.client = client;
  asked.resource = *std::move(name);
  asked.number = static_cast<std::uint32_t>(number);
  return asked;
}

}  // namespace

Result<Work> work_of(const wire::BeginRequest& request) {
  Work work;
  for (const auto& checked : {check_text("client_name", request.client_name, kMaxClientName),
                              check_text("label", request.label, kMaxLabel),
                              check_text("traceparent", request.traceparent, kMaxTraceparent)}) {
    if (!checked) return std::unexpected(checked.error());
  }
  auto shared = shared_part(request);
  if (!shared) return std::unexpected(std::move(shared.error()));
  InteractiveTerms terms;
  terms.read_only = shared->read_only;
  terms.options = std::make_shared<const std::string>(bytes_of(*shared));
  if (request.options.__isset.timeout_ms) {
    const auto timeout = milliseconds_of("options.timeout_ms", request.options.timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
    work.timeout = *timeout;
  }
  if (request.options.__isset.idle_timeout_ms) {
    const auto timeout = milliseconds_of("options.idle_timeout_ms", request.options.idle_timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
    terms.idle_timeout = *timeout;
  }
  work.client = request.client_name;
  work.label = request.label;
  // What it is to do is not known yet: only that it is no one-shot request.
  work.digest = sha256(std::string_view("troth: interactive"));
  if (request.__isset.request_id) {
    auto key = request_key_of(request.client_name, request.request_id);
    if (!key) return std::unexpected(std::move(key.error()));
    work.request = *std::move(key);
  }
  work.bytes = sizeof request + terms.options->size() + work.label.size();
  work.interactive = std::move(terms);
  return work;
}

Result<StatementRequested> statement_of(const wire::QueryRequest& request) {
  auto asked = asked_of(request.transaction_id, request.client_name, request.resource, request.number);
  if (!asked) return asked;
  if (request.statement.sql.empty()) return refuse("the statement has no SQL text");
  if (request.__isset.page_rows && request.page_rows <= 0)
    return refuse(fmt::format("page_rows is {}: expected 1 or more, or nothing for all", request.page_rows));
  asked->digest = sha256(bytes_of(request.statement));
  asked->bytes = sizeof request + bytes_in(request.statement);
  return asked;
}

Result<StatementRequested> rows_of(const wire::FetchRequest& request) {
  auto asked = asked_of(request.transaction_id, request.client_name, request.resource, request.number);
  if (!asked) return asked;
  if (request.from_row < 0)
    return refuse(fmt::format("from_row is {}: expected 0 or more", request.from_row));
  if (request.__isset.page_rows && request.page_rows <= 0)
    return refuse(fmt::format("page_rows is {}: expected 1 or more, or nothing for all", request.page_rows));
  asked->bytes = sizeof request;
  return asked;
}

Result<CommitRequested> commit_of(const wire::CommitRequest& request) {
  auto id = transaction_of(request.transaction_id, request.client_name);
  if (!id) return std::unexpected(std::move(id.error()));
  CommitRequested commit;
  commit.transaction = *std::move(id);
  commit.client = request.client_name;
  if (request.__isset.acknowledgement) {
    switch (request.acknowledgement) {
      case wire::Acknowledgement::APPLIED: break;
      case wire::Acknowledgement::DECIDED: commit.acknowledgement = Acknowledgement::kDecided; break;
      default: return unknown_value("acknowledgement", request.acknowledgement);
    }
  }
  if (request.__isset.timeout_ms) {
    const auto timeout = milliseconds_of("timeout_ms", request.timeout_ms);
    if (!timeout) return std::unexpected(timeout.error());
    commit.timeout = *timeout;
  }
  return commit;
}

Result<RollbackRequested> rollback_of(const wire::RollbackRequest& request) {
  auto id = transaction_of(request.transaction_id, request.client_name);
  if (!id) return std::unexpected(std::move(id.error()));
  RollbackRequested rollback;
  rollback.transaction = *std::move(id);
  rollback.client = request.client_name;
  return rollback;
}

wire::StatementRequest message_of(const SendStatement& send, const StatementPart& part,
                                  const wire::LeaderHeader& header) {
  auto message = from_bytes<wire::StatementRequest>(*send.options);
  message.header = header;
  message.incarnation = static_cast<std::int64_t>(send.incarnation.value);
  message.transaction_id = send.to.branch.transaction.text();
  message.branch = static_cast<std::int32_t>(send.to.branch.branch.value);
  message.resource = send.to.resource.value;
  message.number = static_cast<std::int32_t>(send.number);
  if (part.statement) message.__set_statement(*part.statement);
  set_request(send.request, message);
  message.digest.assign(send.digest.bytes.begin(), send.digest.bytes.end());
  message.timeout_ms = at_least_one_ms(send.timeout);
  message.idle_timeout_ms = at_least_one_ms(send.idle_timeout);
  message.from_row = part.from_row;
  message.page_rows = part.page_rows;
  return message;
}

wire::PrepareRequest prepare_of(const SendPrepare& send, const wire::LeaderHeader& header) {
  wire::PrepareRequest prepare;
  prepare.header = header;
  prepare.incarnation = static_cast<std::int64_t>(send.incarnation.value);
  prepare.transaction_id = send.to.branch.transaction.text();
  prepare.branch = static_cast<std::int32_t>(send.to.branch.branch.value);
  prepare.work.resource = send.to.resource.value;
  prepare.interactive = true;
  prepare.statement_count = static_cast<std::int32_t>(*send.statements);
  set_request(send.request, prepare);
  prepare.digest.assign(send.digest.bytes.begin(), send.digest.bytes.end());
  prepare.isolation = wire::Isolation::SERVER_DEFAULT;
  prepare.timeout_ms = at_least_one_ms(send.timeout);
  return prepare;
}

StatementAnswer answer_of(const wire::StatementReply& reply) {
  StatementAnswer answer;
  if (reply.__isset.refusal) {
    answer.refusal = wire::to_error(reply.refusal);
    answer.over = reply.over;
    return answer;
  }
  wire::QueryResult result;
  result.result = reply.result;
  result.more = reply.more;
  answer.result = bytes_of(result);
  return answer;
}

wire::QueryResult result_of(const std::string& statement_result) {
  return from_bytes<wire::QueryResult>(statement_result);
}

wire::CommitResult commit_result_of(const Committed& committed) {
  wire::CommitResult result;
  result.transaction_id = committed.transaction.text();
  result.already_committed = committed.already_committed;
  result.acknowledged = committed.acknowledged == Acknowledgement::kApplied ? wire::Acknowledgement::APPLIED
                                                                            : wire::Acknowledgement::DECIDED;
  for (const auto& resource : committed.pending)
    result.pending_resources.push_back(resource.value);
  return result;
}

Answer commit_answer_of(const TransactionId& id, const Result<StatusReport>& report) {
  if (!report) {
    auto error = report.error();
    error.effect = Effect::kUnknown;
    return Failed{id, std::move(error)};
  }
  switch (report->state) {
    // That it was decided is known; whether every branch has it by now is not.
    case TransactionState::kCommitted: return Committed{id, {}, true, Acknowledgement::kDecided, {}};
    case TransactionState::kNotCommitted:
      return Failed{id, refusal(ErrorCode::kUnknownTransaction, Effect::kNone,
                                fmt::format("{} is not active any more and was not committed{}{}; begin anew",
                                            id.text(), report->detail.empty() ? "" : ": ", report->detail),
                                true)};
    default:
      return Failed{
          id, refusal(ErrorCode::kUnavailable, Effect::kUnknown,
                      fmt::format("{} is {}: {}; ask again", id.text(), name_of(report->state),
                                  report->detail.empty() ? "nothing more is known now" : report->detail),
                      true)};
  }
}

Answer rollback_answer_of(const TransactionId& id, const Result<StatusReport>& report) {
  if (report && report->state == TransactionState::kNotCommitted) return RolledBack{id};
  if (report && report->state == TransactionState::kCommitted)
    return Failed{id, refusal(ErrorCode::kStale, Effect::kApplied,
                              fmt::format("{} has committed: it cannot be rolled back", id.text()))};
  return commit_answer_of(id, report);
}

}  // namespace troth::coordinator
