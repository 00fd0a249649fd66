// base/result.h
//
// What a call can come to. Every operating error says what is known of its effect, because the caller's next
// step depends on that and on nothing else: `none` may be retried freely, `applied` must not, `unknown` must
// ask.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace troth {

// What is known of the effect of a call that failed.
enum class Effect : std::uint8_t {
  kNone,     // nothing happened and nothing will: retry freely
  kApplied,  // it happened, although the call failed in another way
  kUnknown,  // it may or may not have happened, now or later: ask
};

enum class ErrorCode : std::uint8_t {
  kInvalidArgument,      // the request itself is wrong: mend it
  kUnknownResource,      // no such resource is registered
  kUnknownTransaction,   // no such transaction is known here
  kStatementFailed,      // the database refused a statement
  kExpectationMissed,    // expect_rows was not met
  kForbiddenStatement,   // transaction control, several statements, or a session left in another state
  kConflict,             // deadlock, serialization failure, lock wait timeout: a retry makes sense
  kBusy,                 // the same request or branch is still running
  kOverloaded,           // a limit is reached: retry after `retry_after`
  kTimeout,              // a deadline passed
  kUnavailable,          // the agent, the resource or the coordinator cannot be reached
  kRequestIdReused,      // the same request_id with other content
  kRequestIdTooOld,      // below the request floor: no longer remembered
  kRequestIdFromFuture,  // more than five minutes ahead of the leader's clock
  kBarred,               // status(request_id, bar) came first: this request may never commit
  kTooOld,               // below the floor: forgotten on purpose
  kStale,                // an older epoch or another incarnation than the live one
  kNotDurable,           // the database's settings do not keep what it acknowledges
  kSetBack,              // a disk or server was restored to an older state: an operator must look
  kNotOwner,             // another agent or coordinator owns this resource or directory
  kCorrupt,              // stored bytes are damaged
  kIo,                   // a disk, file or socket call failed
  kInternal,             // a defect of Troth
  kPermissionDenied,     // the caller's certificate does not allow it
  kHeuristic,            // an operator ended a branch of it by hand: only people can tell what it came to
};

[[nodiscard]] std::string_view name_of(Effect effect);
[[nodiscard]] std::string_view name_of(ErrorCode code);

// An operating error. `message` names the thing, the place and the remedy, in one or two sentences.
// The optional fields are what the database said, as it said it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  Effect effect = Effect::kUnknown;
  std::string message;
  bool retryable = false;
  std::string resource;                    // empty: none concerned
  std::optional<std::uint32_t> branch;     // 1..
  std::optional<std::uint32_t> statement;  // 1.. inside its branch
  std::string sqlstate;                    // five characters, or empty
  std::optional<std::int32_t> vendor_code;
  std::string constraint;
  std::optional<std::chrono::milliseconds> retry_after;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;

using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, Effect effect, std::string message) {
  Error error;
  error.code = code;
  error.effect = effect;
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

}  // namespace troth
