#include "coordinator/answers.h"

#include <chrono>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::coordinator {
namespace {

constexpr auto kMostAhead = std::chrono::minutes{5};  // of the leader's clock, for a request_id

}  // namespace

Error refusal(ErrorCode code, Effect effect, std::string message, bool retryable) {
  Error error;
  error.code = code;
  error.effect = effect;
  error.message = std::move(message);
  error.retryable = retryable;
  return error;
}

Answer aborted(const TransactionId& id, Error reason) {
  reason.effect = Effect::kNone;
  return Failed{id, std::move(reason)};
}

Effect effect_on_request(const Error& refused_by_branch) {
  return refused_by_branch.code == ErrorCode::kHeuristic || refused_by_branch.code == ErrorCode::kBarred
             ? Effect::kUnknown
             : Effect::kNone;
}

Answer outcome_unknown(const TransactionId& id, const std::string& what_runs) {
  return Failed{id,
                refusal(ErrorCode::kTimeout, Effect::kUnknown,
                        fmt::format("the call's time is up while {}; ask `status` for {}, or send the same "
                                    "request_id again",
                                    what_runs, id.text()),
                        true)};
}

Answer already_committed(const store::StoredDecision& holder, const Digest& digest) {
  const auto* commit = holder.commit();
  CHECK(commit != nullptr && commit->request, "{} holds a request key without a commit",
        holder.transaction().text());
  if (commit->digest != digest)
    return Failed{std::nullopt, request_id_reused(*commit->request, commit->transaction)};
  return Committed{commit->transaction,
                   {},
                   true,
                   holder.ended ? Acknowledgement::kApplied : Acknowledgement::kDecided,
                   {}};
}

Answer already_committed(const TransactionId& marked) {
  return Committed{
      marked, {}, true, marked.is_one_phase() ? Acknowledgement::kApplied : Acknowledgement::kDecided, {}};
}

Error request_id_reused(const RequestKey& key, const TransactionId& holder) {
  return refusal(
      ErrorCode::kRequestIdReused, Effect::kNone,
      fmt::format("request_id {} of client '{}' belongs to {}, which was asked for something else; use a "
                  "new request_id",
                  key.id.text(), key.client, holder.text()));
}

std::optional<Error> refuse_from_future(const RequestKey& key, WallTime now) {
  const auto ms = key.id.unix_ms();
  const auto latest =
      std::chrono::duration_cast<std::chrono::milliseconds>((now + kMostAhead).time_since_epoch());
  if (latest.count() >= 0 && ms > static_cast<std::uint64_t>(latest.count()))
    return refusal(
        ErrorCode::kRequestIdFromFuture, Effect::kNone,
        fmt::format("the timestamp of request_id {} is more than five minutes ahead of the coordinator's "
                    "clock; set the client's clock",
                    key.id.text()));
  return std::nullopt;
}

Error request_barred(const RequestKey& key) {
  return refusal(
      ErrorCode::kBarred, Effect::kNone,
      fmt::format("request_id {} of client '{}' was barred by a status call and never commits; use a new "
                  "request_id",
                  key.id.text(), key.client));
}

}  // namespace troth::coordinator
