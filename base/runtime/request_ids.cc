#include "base/runtime/request_ids.h"

#include <span>

#include "base/runtime/entropy.h"

namespace troth {

RequestId new_request_id(WallTime now) {
  RequestId id;
  fill_random(std::as_writable_bytes(std::span(id.bytes)));
  auto ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  for (std::size_t i = 6; i-- > 0; ms >>= 8)
    id.bytes[i] = static_cast<std::uint8_t>(ms & 0xff);
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0f));  // version 7
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));  // the RFC's variant
  return id;
}

}  // namespace troth
