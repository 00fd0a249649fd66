#include "tests/unit/commit_path/teller.h"

#include <algorithm>
#include <optional>

#include "base/runtime/clock.h"
#include "base/runtime/request_ids.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);
constexpr const char* kClient = "teller";

rpc::ChannelOptions channel_options(rpc::Encoding encoding) {
  rpc::ChannelOptions options;
  options.encoding = encoding;
  options.longest_backoff = std::chrono::milliseconds(100);
  return options;
}

std::int64_t in_ms(Duration duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

}  // namespace

std::string fresh_request_id() {
  return new_request_id(wall_now()).text();
}

wire::ExecuteRequest request_of(const std::vector<Part>& parts, const std::string& request_id,
                                wire::Acknowledgement::type acknowledgement, Duration timeout) {
  wire::ExecuteRequest request;
  request.client_name = kClient;
  if (!request_id.empty()) request.__set_request_id(request_id);
  for (const auto& part : parts) {
    wire::BranchWork work;
    work.resource = part.resource;
    work.read_only = part.read_only;
    wire::Statement statement;
    statement.sql = part.sql;
    work.statements.push_back(statement);
    request.branches.push_back(work);
  }
  wire::ExecuteOptions options;
  options.__set_acknowledgement(acknowledgement);
  options.__set_timeout_ms(in_ms(timeout));
  request.__set_options(options);
  return request;
}

Teller::Teller(rpc::Address coordinator, rpc::Encoding encoding)
    : channel_(loop_, std::move(coordinator), channel_options(encoding)) {}

void Teller::run_until(const std::function<bool()>& finished) {
  loop_.restart();
  while (!finished())
    loop_.run_one();
}

void Teller::begin(const wire::ExecuteRequest& request, Duration patience) {
  auto& answer = begun_.emplace_back();
  channel_.call<wire::Transactions_execute>(request, patience,
                                            [&answer](Executed executed) { answer = std::move(executed); });
}

void Teller::send() {
  loop_.restart();
  loop_.run_for(std::chrono::milliseconds(20));
}

std::vector<Teller::Executed> Teller::finish() {
  run_until([this] { return std::ranges::all_of(begun_, [](const auto& a) { return a.has_value(); }); });
  std::vector<Executed> answers;
  for (auto& answer : begun_)
    answers.push_back(*std::move(answer));
  begun_.clear();
  return answers;
}

std::vector<Teller::Executed> Teller::execute_all(const std::vector<wire::ExecuteRequest>& requests,
                                                  Duration patience) {
  for (const auto& request : requests)
    begin(request, patience);
  return finish();
}

Teller::Executed Teller::execute(const wire::ExecuteRequest& request, Duration patience) {
  return execute_all({request}, patience).front();
}

template <typename Method, typename Reply>
Result<Reply> Teller::ask(const auto& request, Duration patience) {
  std::optional<Result<Reply>> answer;
  channel_.call<Method>(request, patience, [&](Result<Reply> reply) { answer = std::move(reply); });
  run_until([&] { return answer.has_value(); });
  return *std::move(answer);
}

Teller::Executed Teller::converse(const wire::ExecuteRequest& request, Duration patience) {
  wire::BeginRequest begin;
  begin.client_name = request.client_name;
  begin.__set_request_id(request.request_id);
  wire::BeginOptions options;
  options.__set_timeout_ms(request.options.timeout_ms);
  options.__set_idle_timeout_ms(1000);
  begin.__set_options(options);
  const auto begun = ask<wire::Transactions_begin_transaction, wire::BeginResult>(begin, patience);
  if (!begun) return std::unexpected(begun.error());
  wire::ExecuteResult result;
  result.transaction_id = begun->transaction_id;
  result.already_committed = begun->already_committed;
  result.acknowledged = wire::Acknowledgement::DECIDED;
  if (begun->already_committed) return result;

  for (const auto& branch : request.branches) {
    std::int32_t number = 0;
    for (const auto& statement : branch.statements) {
      wire::QueryRequest query;
      query.transaction_id = begun->transaction_id;
      query.client_name = request.client_name;
      query.resource = branch.resource;
      query.number = ++number;
      query.statement = statement;
      if (const auto answered = ask<wire::Transactions_query, wire::QueryResult>(query, patience); !answered)
        return std::unexpected(answered.error());
    }
  }
  wire::CommitRequest commit;
  commit.transaction_id = begun->transaction_id;
  commit.client_name = request.client_name;
  commit.__set_acknowledgement(request.options.acknowledgement);
  const auto committed = ask<wire::Transactions_commit, wire::CommitResult>(commit, patience);
  if (!committed) return std::unexpected(committed.error());
  result.already_committed = committed->already_committed;
  result.acknowledged = committed->acknowledged;
  result.pending_resources = committed->pending_resources;
  return result;
}

Result<wire::StatusReply> Teller::status(const wire::StatusRequest& request, Duration patience) {
  return ask<wire::Transactions_status, wire::StatusReply>(request, patience);
}

Result<wire::StatusReply> Teller::status_of(const std::string& transaction_id) {
  wire::StatusRequest request;
  request.__set_transaction_id(transaction_id);
  request.__set_timeout_ms(10'000);
  return status(request);
}

Result<wire::StatusReply> Teller::bar(const std::string& request_id, std::vector<std::string> resources) {
  wire::StatusRequest request;
  request.client_name = kClient;
  request.__set_request_id(request_id);
  request.bar = true;
  request.bar_resources = std::move(resources);
  request.__set_timeout_ms(10'000);
  return status(request);
}

Result<wire::ClusterStatus> Teller::cluster_status() {
  std::optional<Result<wire::ClusterStatus>> answer;
  channel_.call<wire::Administration_cluster_status>(
      kPatience, [&](Result<wire::ClusterStatus> reply) { answer = std::move(reply); });
  run_until([&] { return answer.has_value(); });
  return *answer;
}

Result<wire::InDoubtReport> Teller::in_doubt() {
  std::optional<Result<wire::InDoubtReport>> answer;
  channel_.call<wire::Administration_in_doubt>(
      kPatience, [&](Result<wire::InDoubtReport> reply) { answer = std::move(reply); });
  run_until([&] { return answer.has_value(); });
  return *answer;
}

}  // namespace troth
