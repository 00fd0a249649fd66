// base/runtime/request_ids.h
//
// Makes request ids: UUIDs of version 7, the wall clock's milliseconds in front and randomness behind.
// Source: RFC 9562, section 5.7.
#pragma once

#include "base/ids.h"
#include "base/time.h"

namespace troth {

[[nodiscard]] RequestId new_request_id(WallTime now);

}  // namespace troth
