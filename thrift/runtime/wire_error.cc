#include "thrift/runtime/wire_error.h"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace troth::rpc {
namespace {

using WireCode = wire::ErrorCode::type;

constexpr std::array kCodes = {
    std::pair{ErrorCode::kInvalidArgument, WireCode::INVALID_ARGUMENT},
    std::pair{ErrorCode::kUnknownResource, WireCode::UNKNOWN_RESOURCE},
    std::pair{ErrorCode::kUnknownTransaction, WireCode::UNKNOWN_TRANSACTION},
    std::pair{ErrorCode::kStatementFailed, WireCode::STATEMENT_FAILED},
    std::pair{ErrorCode::kExpectationMissed, WireCode::EXPECTATION_MISSED},
    std::pair{ErrorCode::kForbiddenStatement, WireCode::FORBIDDEN_STATEMENT},
    std::pair{ErrorCode::kConflict, WireCode::CONFLICT},
    std::pair{ErrorCode::kBusy, WireCode::BUSY},
    std::pair{ErrorCode::kOverloaded, WireCode::OVERLOADED},
    std::pair{ErrorCode::kTimeout, WireCode::TIMEOUT},
    std::pair{ErrorCode::kUnavailable, WireCode::UNAVAILABLE},
    std::pair{ErrorCode::kRequestIdReused, WireCode::REQUEST_ID_REUSED},
    std::pair{ErrorCode::kRequestIdTooOld, WireCode::REQUEST_ID_TOO_OLD},
    std::pair{ErrorCode::kRequestIdFromFuture, WireCode::REQUEST_ID_FROM_FUTURE},
    std::pair{ErrorCode::kBarred, WireCode::BARRED},
    std::pair{ErrorCode::kTooOld, WireCode::TOO_OLD},
    std::pair{ErrorCode::kStale, WireCode::STALE},
    std::pair{ErrorCode::kNotDurable, WireCode::NOT_DURABLE},
    std::pair{ErrorCode::kSetBack, WireCode::SET_BACK},
    std::pair{ErrorCode::kNotOwner, WireCode::NOT_OWNER},
    std::pair{ErrorCode::kCorrupt, WireCode::CORRUPT},
    std::pair{ErrorCode::kIo, WireCode::IO},
    std::pair{ErrorCode::kInternal, WireCode::INTERNAL},
};
// The table is in the order of both enums, so that a code's place is its number.
static_assert([] {
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (static_cast<std::size_t>(kCodes[i].first) != i || kCodes[i].second != static_cast<int>(i) + 1)
      return false;
  }
  return true;
}());

wire::Effect::type to_wire(Effect effect) {
  switch (effect) {
    case Effect::kNone: return wire::Effect::NONE;
    case Effect::kApplied: return wire::Effect::APPLIED;
    case Effect::kUnknown: return wire::Effect::UNKNOWN;
  }
  return wire::Effect::UNKNOWN;
}

Effect from_wire(wire::Effect::type effect) {
  switch (effect) {
    case wire::Effect::NONE: return Effect::kNone;
    case wire::Effect::APPLIED: return Effect::kApplied;
    case wire::Effect::UNKNOWN: return Effect::kUnknown;
  }
  return Effect::kUnknown;
}

}  // namespace

wire::TrothError to_wire(const Error& error) {
  wire::TrothError out;
  out.code = kCodes[static_cast<std::size_t>(error.code)].second;
  out.effect = to_wire(error.effect);
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

Error from_wire(const wire::TrothError& error) {
  Error out;
  out.message = error.message;
  const auto number = static_cast<std::int64_t>(error.code);
  if (number >= 1 && static_cast<std::size_t>(number) <= kCodes.size()) {
    out.code = kCodes[static_cast<std::size_t>(number) - 1].first;
  } else {
    out.code = ErrorCode::kInternal;
    out.message += fmt::format(" (the peer's error code {} is not known to this version)", number);
  }
  out.effect = from_wire(error.effect);
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

}  // namespace troth::rpc
