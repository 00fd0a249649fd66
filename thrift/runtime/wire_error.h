// thrift/runtime/wire_error.h
//
// Errors between the contract's TrothError and base/result.h. Every process needs both directions, so they
// stand here once.
#pragma once

#include "base/result.h"
#include "thrift/gen/common_types.h"

namespace troth::wire {

[[nodiscard]] TrothError from_error(const Error& error);

// A code or effect that this version does not know comes out as internal or unknown, with its number in the
// message: never as a neighbour. rpc::Channel finds this function by its argument's namespace.
[[nodiscard]] Error to_error(const TrothError& error);

}  // namespace troth::wire
