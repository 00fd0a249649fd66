// coordinator/runtime/repeated_requests.h
//
// What may be said of a call that the server refuses before the coordinator sees it: overloaded, or shutting
// down. An `execute` that carries a request_id may be the second attempt of something that has committed, so
// that "nothing happened and nothing will" would be a lie about it.
#pragma once

#include <string_view>

#include "base/result.h"
#include "thrift/frame.h"

namespace troth::coordinator {

// `message` is the whole call, or empty where it was not kept. Looks for the request_id and allocates nothing
// for the rest; what cannot be read has no effect, because it never will be carried out.
[[nodiscard]] Effect effect_of_refused_call(std::string_view method, rpc::Bytes message);

}  // namespace troth::coordinator
