// coordinator/runtime/unread_calls.h
//
// What can be told of a call from its bytes, before any service reads it.
//
// What may be said of one that the server refuses, overloaded or shutting down: an `execute` that carries a request_id may
// be the second attempt of something that has committed, so that "nothing happened and nothing will" would be a lie about it.
// And whether any coordinator of a group may answer it, or only the leader.
#pragma once

#include <string_view>

#include "base/result.h"
#include "thrift/frame.h"

namespace troth::coordinator {

// `message` is the whole call, or empty where it was not kept. Looks for the request_id and allocates nothing
// for the rest; what cannot be read has no effect, because it never will be carried out.
[[nodiscard]] Effect effect_of_refused_call(std::string_view method, rpc::Bytes message);

// A `status` with a consistency that needs no leader.
[[nodiscard]] bool is_for_any_coordinator(std::string_view method, rpc::Bytes message);

}  // namespace troth::coordinator
