#include "tests/sim/words/message_words.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <thrift/TApplicationException.h>

#include "base/check.h"
#include "thrift/gen/Agent.h"
#include "thrift/gen/Directory.h"
#include "thrift/gen/Transactions.h"
#include "thrift/message.h"
#include "thrift/runtime/codec.h"

namespace troth::sim {
namespace {

using rpc::ThriftProtocol;

// Enumerators as people write them: ROLLED_BACK is "rolled back".
template <typename Enum>
std::string plain(const Enum& value) {
  auto text = wire::to_string(value);
  std::ranges::transform(text, text.begin(), [](char letter) {
    return letter == '_' ? ' ' : static_cast<char>(letter | ('A' <= letter && letter <= 'Z' ? 0x20 : 0));
  });
  return text;
}

std::string with(std::string_view name, std::string_view value) {
  return value.empty() ? std::string() : fmt::format("{}{}", name, value);
}

std::string error_words(const wire::TrothError& error) {
  return fmt::format("error {} (effect {}): {}", plain(error.code), plain(error.effect), error.message);
}

template <typename Request>
std::string branch_words(const Request& request) {
  return fmt::format("{} branch {} on {}", request.transaction_id, request.branch, request.resource);
}

// ---- What is asked

std::string words(const wire::PrepareRequest& request) {
  return fmt::format("{} branch {} on {}{}{}, epoch {}", request.transaction_id, request.branch,
                     request.work.resource, request.one_phase ? ", one-phase" : "",
                     request.interactive ? ", interactive" : "", request.header.epoch.number);
}
std::string words(const wire::StatementRequest& request) {
  return fmt::format("{}, statement {}", branch_words(request), request.number);
}
std::string words(const wire::FinishRequest& request) {
  return branch_words(request);
}
std::string words(const wire::SettleRequest& request) {
  return branch_words(request) +
         (request.__isset.request ? with(", request ", request.request.request_id) : "");
}
std::string words(const wire::HeartbeatRequest& request) {
  return fmt::format("epoch {}, watermark {}.{}, floor {}.{}{}", request.header.epoch.number,
                     request.header.watermark_epoch, request.header.watermark_sequence, request.floor_epoch,
                     request.floor_sequence,
                     with(", ended: ", fmt::format("{}", fmt::join(request.ended, " "))));
}
std::string words(const wire::RegisterRequest& request) {
  return fmt::format("{}, incarnation {}", request.agent_id, request.incarnation);
}
std::string words(const wire::InquireRequest& request) {
  return branch_words(request);
}
std::string words(const wire::ExecuteRequest& request) {
  return fmt::format("request {}, {} branches", request.request_id, request.branches.size());
}
std::string words(const wire::BeginRequest& request) {
  return fmt::format("request {}", request.request_id);
}
std::string words(const wire::QueryRequest& request) {
  return fmt::format("{}, statement {} on {}", request.transaction_id, request.number, request.resource);
}
std::string words(const wire::CommitRequest& request) {
  return request.transaction_id;
}
std::string words(const wire::RollbackRequest& request) {
  return request.transaction_id;
}
std::string words(const wire::StatusRequest& request) {
  return fmt::format("{}{}{}", request.transaction_id, with("request ", request.request_id),
                     request.bar ? ", bar it" : "");
}

// ---- What is answered

std::string words(const wire::PrepareReply& reply) {
  return fmt::format("{}{}{}", plain(reply.vote),
                     reply.__isset.refusal ? with(": ", reply.refusal.message) : "",
                     reply.__isset.committed_as ? with(" as ", reply.committed_as) : "");
}
std::string words(const wire::StatementReply& reply) {
  if (!reply.__isset.refusal) return "done";
  return fmt::format("refused{}: {}", reply.over ? ", the branch is over" : "", reply.refusal.message);
}
std::string words(const wire::FinishReply& reply) {
  return plain(reply.outcome) + with(": ", reply.detail);
}
std::string words(const wire::SettleReply& reply) {
  return plain(reply.outcome) + with(" as ", reply.committed_as) + with(": ", reply.detail);
}
std::string words(const wire::HeartbeatReply& reply) {
  return fmt::format("incarnation {}{}", reply.incarnation,
                     with(", ended taken: ", fmt::format("{}", fmt::join(reply.ended_taken, " "))));
}
std::string words(const wire::RegisterReply& reply) {
  return fmt::format("epoch {}", reply.epoch.number);
}
std::string words(const wire::InquireReply& reply) {
  return plain(reply.decision);
}
std::string words(const wire::ExecuteResult& reply) {
  return fmt::format("{} committed{}, {}{}", reply.transaction_id, reply.already_committed ? " before" : "",
                     plain(reply.acknowledged),
                     with(", pending in ", fmt::format("{}", fmt::join(reply.pending_resources, " "))));
}
std::string words(const wire::BeginResult& reply) {
  return fmt::format("{}{}", reply.transaction_id, reply.already_committed ? " committed before" : "");
}
std::string words(const wire::QueryResult&) {
  return "done";
}
std::string words(const wire::CommitResult& reply) {
  return fmt::format("{} committed, {}", reply.transaction_id, plain(reply.acknowledged));
}
std::string words(const wire::RollbackResult& reply) {
  return fmt::format("{} rolled back", reply.transaction_id);
}
std::string words(const wire::StatusReply& reply) {
  return plain(reply.state) + with(" ", reply.transaction_id);
}

// ---- Which method has which

struct Method {
  std::function<std::string(ThriftProtocol&)> call;
  std::function<std::string(ThriftProtocol&)> answer;
};

template <typename Arguments, typename Outcome>
Method method() {
  return {[](ThriftProtocol& in) {
            Arguments arguments;
            arguments.read(&in);
            return words(arguments.request);
          },
          [](ThriftProtocol& in) {
            Outcome outcome;
            outcome.read(&in);
            return outcome.__isset.error ? error_words(outcome.error) : words(outcome.success);
          }};
}

const std::map<std::string_view, Method>& methods() {
  static const std::map<std::string_view, Method> kMethods{
      {"prepare", method<wire::Agent_prepare_args, wire::Agent_prepare_result>()},
      {"run_statement", method<wire::Agent_run_statement_args, wire::Agent_run_statement_result>()},
      {"commit_branch", method<wire::Agent_commit_branch_args, wire::Agent_commit_branch_result>()},
      {"rollback_branch", method<wire::Agent_rollback_branch_args, wire::Agent_rollback_branch_result>()},
      {"settle_branch", method<wire::Agent_settle_branch_args, wire::Agent_settle_branch_result>()},
      {"heartbeat", method<wire::Agent_heartbeat_args, wire::Agent_heartbeat_result>()},
      {"register_agent",
       method<wire::Directory_register_agent_args, wire::Directory_register_agent_result>()},
      {"inquire", method<wire::Directory_inquire_args, wire::Directory_inquire_result>()},
      {"execute", method<wire::Transactions_execute_args, wire::Transactions_execute_result>()},
      {"begin_transaction",
       method<wire::Transactions_begin_transaction_args, wire::Transactions_begin_transaction_result>()},
      {"query", method<wire::Transactions_query_args, wire::Transactions_query_result>()},
      {"commit", method<wire::Transactions_commit_args, wire::Transactions_commit_result>()},
      {"rollback", method<wire::Transactions_rollback_args, wire::Transactions_rollback_result>()},
      {"status", method<wire::Transactions_status_args, wire::Transactions_status_result>()},
  };
  return kMethods;
}

}  // namespace

MessageWords words_of(const Frame& frame) {
  const auto content = rpc::Bytes(frame).subspan(rpc::kFrameLengthBytes);
  const auto header = rpc::read_message_header(content);
  CHECK(header.has_value());
  rpc::MessageReader reader(header->encoding, {});
  auto& in = *reader.begin(content);
  std::string name;
  apache::thrift::protocol::TMessageType type{};
  MessageWords words{.is_call = header->kind == rpc::MessageKind::kCall};
  in.readMessageBegin(name, type, words.seqid);
  const auto found = methods().find(name);
  if (header->kind == rpc::MessageKind::kException) {
    apache::thrift::TApplicationException refusal;
    refusal.read(&in);
    words.text = fmt::format("refused: {}", refusal.what());
  } else if (words.is_call) {
    words.text = name + (found == methods().end() ? "" : " " + found->second.call(in));
  } else {
    words.text = found == methods().end() ? "answered" : found->second.answer(in);
  }
  return words;
}

}  // namespace troth::sim
