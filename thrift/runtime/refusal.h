// thrift/runtime/refusal.h
//
// Answers a call with the declared TrothError, through the function that Thrift gave for it.
#pragma once

#include <functional>

#include <thrift/Thrift.h>

#include "base/result.h"
#include "thrift/gen/common_types.h"
#include "thrift/runtime/wire_error.h"

namespace troth::rpc {

using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

inline void refuse_with(const Refusal& refuse, const wire::TrothError& error) {
  refuse(apache::thrift::TDelayedException::delayException(error));
}

inline void refuse_with(const Refusal& refuse, const Error& error) {
  refuse_with(refuse, wire::from_error(error));
}

}  // namespace troth::rpc
