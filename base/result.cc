#include "base/result.h"

namespace troth {

std::string_view name_of(Effect effect) {
  switch (effect) {
    case Effect::kNone: return "none";
    case Effect::kApplied: return "applied";
    case Effect::kUnknown: return "unknown";
  }
  return "invalid";
}

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kUnknownResource: return "unknown_resource";
    case ErrorCode::kUnknownTransaction: return "unknown_transaction";
    case ErrorCode::kStatementFailed: return "statement_failed";
    case ErrorCode::kExpectationMissed: return "expectation_missed";
    case ErrorCode::kForbiddenStatement: return "forbidden_statement";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kBusy: return "busy";
    case ErrorCode::kOverloaded: return "overloaded";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kRequestIdReused: return "request_id_reused";
    case ErrorCode::kRequestIdTooOld: return "request_id_too_old";
    case ErrorCode::kRequestIdFromFuture: return "request_id_from_future";
    case ErrorCode::kBarred: return "barred";
    case ErrorCode::kTooOld: return "too_old";
    case ErrorCode::kStale: return "stale";
    case ErrorCode::kNotDurable: return "not_durable";
    case ErrorCode::kSetBack: return "set_back";
    case ErrorCode::kNotOwner: return "not_owner";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kPermissionDenied: return "permission_denied";
    case ErrorCode::kHeuristic: return "heuristic";
  }
  return "invalid";
}

}  // namespace troth
