#include "thrift/runtime/wire_error.h"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace troth::wire {
namespace {

using WireCode = ErrorCode::type;

constexpr std::array kCodes = {
    std::pair{troth::ErrorCode::kInvalidArgument, WireCode::INVALID_ARGUMENT},
    std::pair{troth::ErrorCode::kUnknownResource, WireCode::UNKNOWN_RESOURCE},
    std::pair{troth::ErrorCode::kUnknownTransaction, WireCode::UNKNOWN_TRANSACTION},
    std::pair{troth::ErrorCode::kStatementFailed, WireCode::STATEMENT_FAILED},
    std::pair{troth::ErrorCode::kExpectationMissed, WireCode::EXPECTATION_MISSED},
    std::pair{troth::ErrorCode::kForbiddenStatement, WireCode::FORBIDDEN_STATEMENT},
    std::pair{troth::ErrorCode::kConflict, WireCode::CONFLICT},
    std::pair{troth::ErrorCode::kBusy, WireCode::BUSY},
    std::pair{troth::ErrorCode::kOverloaded, WireCode::OVERLOADED},
    std::pair{troth::ErrorCode::kTimeout, WireCode::TIMEOUT},
    std::pair{troth::ErrorCode::kUnavailable, WireCode::UNAVAILABLE},
    std::pair{troth::ErrorCode::kRequestIdReused, WireCode::REQUEST_ID_REUSED},
    std::pair{troth::ErrorCode::kRequestIdTooOld, WireCode::REQUEST_ID_TOO_OLD},
    std::pair{troth::ErrorCode::kRequestIdFromFuture, WireCode::REQUEST_ID_FROM_FUTURE},
    std::pair{troth::ErrorCode::kBarred, WireCode::BARRED},
    std::pair{troth::ErrorCode::kTooOld, WireCode::TOO_OLD},
    std::pair{troth::ErrorCode::kStale, WireCode::STALE},
    std::pair{troth::ErrorCode::kNotDurable, WireCode::NOT_DURABLE},
    std::pair{troth::ErrorCode::kSetBack, WireCode::SET_BACK},
    std::pair{troth::ErrorCode::kNotOwner, WireCode::NOT_OWNER},
    std::pair{troth::ErrorCode::kCorrupt, WireCode::CORRUPT},
    std::pair{troth::ErrorCode::kIo, WireCode::IO},
    std::pair{troth::ErrorCode::kInternal, WireCode::INTERNAL},
    std::pair{troth::ErrorCode::kPermissionDenied, WireCode::PERMISSION_DENIED},
    std::pair{troth::ErrorCode::kHeuristic, WireCode::HEURISTIC},
};
// The table is in the order of both enums, so that a code's place is its number.
static_assert([] {
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (static_cast<std::size_t>(kCodes[i].first) != i || kCodes[i].second != static_cast<int>(i) + 1)
      return false;
  }
  return true;
}());

Effect::type wire_effect(troth::Effect effect) {
  switch (effect) {
    case troth::Effect::kNone: return Effect::NONE;
    case troth::Effect::kApplied: return Effect::APPLIED;
    case troth::Effect::kUnknown: return Effect::UNKNOWN;
  }
  return Effect::UNKNOWN;
}

troth::Effect known_effect(Effect::type effect) {
  switch (effect) {
    case Effect::NONE: return troth::Effect::kNone;
    case Effect::APPLIED: return troth::Effect::kApplied;
    case Effect::UNKNOWN: return troth::Effect::kUnknown;
  }
  return troth::Effect::kUnknown;
}

}  // namespace

TrothError from_error(const Error& error) {
  TrothError out;
  out.code = kCodes[static_cast<std::size_t>(error.code)].second;
  out.effect = wire_effect(error.effect);
  out.message = error.message;
  out.retryable = error.retryable;
  if (!error.resource.empty()) out.__set_resource(error.resource);
  if (error.branch) out.__set_branch(static_cast<std::int32_t>(*error.branch));
  if (error.statement) out.__set_statement(static_cast<std::int32_t>(*error.statement));
  if (!error.sqlstate.empty()) out.__set_sqlstate(error.sqlstate);
  if (error.vendor_code) out.__set_vendor_code(*error.vendor_code);
  if (!error.constraint.empty()) out.__set_constraint(error.constraint);
  if (error.retry_after) out.__set_retry_after_ms(error.retry_after->count());
  return out;
}

Error to_error(const TrothError& error) {
  Error out;
  out.message = error.message;
  const auto number = static_cast<std::int64_t>(error.code);
  if (number >= 1 && static_cast<std::size_t>(number) <= kCodes.size()) {
    out.code = kCodes[static_cast<std::size_t>(number) - 1].first;
  } else {
    out.code = troth::ErrorCode::kInternal;
    out.message += fmt::format(" (the peer's error code {} is not known to this version)", number);
  }
  out.effect = known_effect(error.effect);
  out.retryable = error.retryable;
  if (error.__isset.resource) out.resource = error.resource;
  if (error.__isset.branch) out.branch = static_cast<std::uint32_t>(error.branch);
  if (error.__isset.statement) out.statement = static_cast<std::uint32_t>(error.statement);
  if (error.__isset.sqlstate) out.sqlstate = error.sqlstate;
  if (error.__isset.vendor_code) out.vendor_code = error.vendor_code;
  if (error.__isset.constraint) out.constraint = error.constraint;
  if (error.__isset.retry_after_ms) out.retry_after = std::chrono::milliseconds(error.retry_after_ms);
  return out;
}

}  // namespace troth::wire
