// coordinator/decision_store/request_size.h
//
// How large a request gets as bytes, told before it is written: what no log and no message takes is refused, instead of
// stopping whoever has to write it.
#pragma once

#include <cstddef>

#include "coordinator/decision_store/decision_store.h"

namespace troth::coordinator::store {

// At least as many bytes as it takes in an entry of a group's log; a test holds it against the codec. A read takes none.
[[nodiscard]] std::size_t most_bytes(const Request& request);

// What an entry has around its requests, as part of a log record or of a message.
inline constexpr std::size_t kBytesAroundRequests = 256;

}  // namespace troth::coordinator::store
