#include "txlog/crc32c.h"

#include <algorithm>
#include <cstring>

#include <isa-l/crc.h>

namespace troth::txlog {

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  // crc32_iscsi takes its length as an int.
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
  std::uint32_t state = ~before;
  while (!bytes.empty()) {
    const auto now = std::min(bytes.size(), kMostAtOnce);
    // It only reads; its signature predates const.
    auto* start = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    state = crc32_iscsi(start, static_cast<int>(now), state);
    bytes = bytes.subspan(now);
  }
  return ~state;
}

bool all_zero(Bytes bytes) {
  // A region is zero if its first byte is, and each byte equals the one before it: memcmp does it at full
  // speed.
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace troth::txlog
