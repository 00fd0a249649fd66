// thrift/runtime/wire_error.h
//
// Errors between the contract's TrothError and base/result.h. Every process needs both directions, so they
// stand here once.
#pragma once

#include "base/result.h"
#include "thrift/gen/common_types.h"

namespace troth::rpc {

[[nodiscard]] wire::TrothError to_wire(const Error& error);

// A code or effect that this version does not know comes out as internal or unknown, with its number in the
// message: never as a neighbour.
[[nodiscard]] Error from_wire(const wire::TrothError& error);

}  // namespace troth::rpc
