#include "bench/runtime/group_calls.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "base/runtime/request_ids.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth::bench {
namespace {

using Done = std::function<void(Status)>;

constexpr std::string_view kClientName = "bench";
constexpr std::array<std::pair<std::string_view, GroupCall>, 4> kNames{{{"hello", GroupCall::kHello},
                                                                        {"bar", GroupCall::kBar},
                                                                        {"commit", GroupCall::kCommit},
                                                                        {"decide", GroupCall::kDecide}}};

std::int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

Status wrong(std::string what) {
  return fail(ErrorCode::kInternal, Effect::kUnknown, std::move(what));
}

Status check_bar(const Result<wire::StatusReply>& reply) {
  if (!reply) return std::unexpected(reply.error());
  if (reply->state == wire::TransactionState::NOT_COMMITTED && reply->detail.starts_with("barred")) return {};
  return wrong(fmt::format("a new request_id was to be barred, and is in state {}: {}",
                           static_cast<int>(reply->state), reply->detail));
}

Status check_commit(const Result<wire::ExecuteResult>& reply, wire::Acknowledgement::type wanted,
                    std::size_t branches) {
  if (!reply) return std::unexpected(reply.error());
  if (reply->already_committed) return wrong("a new transaction is said to have committed before");
  if (reply->transaction_id.empty() || reply->branches.size() != branches)
    return wrong(fmt::format("transaction '{}' is answered with {} branches, and had {}",
                             reply->transaction_id, reply->branches.size(), branches));
  const bool all_applied =
      reply->acknowledged == wire::Acknowledgement::APPLIED && reply->pending_resources.empty();
  if (wanted == wire::Acknowledgement::APPLIED && !all_applied)
    return wrong(fmt::format("{} was answered before it was applied", reply->transaction_id));
  return {};
}

}  // namespace

std::vector<std::string> names_of_group_calls() {
  std::vector<std::string> names;
  for (const auto& [name, call] : kNames)
    names.emplace_back(name);
  return names;
}

GroupCall group_call_named(std::string_view name) {
  for (const auto& [each, call] : kNames)
    if (each == name) return call;
  CHECK(false, "no call is named '{}'", name);
}

void GroupCaller::ask(rpc::Channel& channel, Duration timeout, Done done) const {
  if (call_ == GroupCall::kHello) {
    return channel.call<wire::Transactions_hello>(
        rpc::hello_of("bench", {}), timeout, [done = std::move(done)](const Result<wire::Hello>& reply) {
          done(reply ? Status{} : Status(std::unexpected(reply.error())));
        });
  }
  if (call_ != GroupCall::kBar) return execute(channel, timeout, std::move(done));
  wire::StatusRequest request;
  request.__set_request_id(new_request_id(wall_now()).text());
  request.client_name = kClientName;
  request.bar = true;
  request.__set_timeout_ms(ms_of(timeout));
  channel.call<wire::Transactions_status>(
      request, timeout,
      [done = std::move(done)](const Result<wire::StatusReply>& reply) { done(check_bar(reply)); });
}

void GroupCaller::execute(rpc::Channel& channel, Duration timeout, Done done) const {
  const auto wanted =
      call_ == GroupCall::kDecide ? wire::Acknowledgement::DECIDED : wire::Acknowledgement::APPLIED;
  wire::Statement statement;
  statement.sql = "UPDATE nothing SET at_all = 1";
  wire::ExecuteRequest request;
  for (const auto& resource : resources_) {
    wire::BranchWork work;
    work.resource = resource;
    work.statements = {statement};
    request.branches.push_back(std::move(work));
  }
  wire::ExecuteOptions options;
  options.__set_acknowledgement(wanted);
  options.__set_timeout_ms(ms_of(timeout));
  request.__set_options(options);
  request.client_name = kClientName;
  channel.call<wire::Transactions_execute>(
      request, timeout,
      [wanted, branches = resources_.size(), done = std::move(done)](
          const Result<wire::ExecuteResult>& reply) { done(check_commit(reply, wanted, branches)); });
}

}  // namespace troth::bench
