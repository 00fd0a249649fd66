// thrift/address.h
//
// Where a server listens and a channel connects, as people write it: `host:port`, `[::1]:port`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace troth::rpc {

struct Address {
  std::string host;        // a name or a numeric address, without brackets; 1..255 bytes
  std::uint16_t port = 0;  // 0: any free port, for servers only

  [[nodiscard]] std::string text() const;
  // Refuses what is not `host:port` (invalid_argument, effect none).
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  // The same, but `:port` is on loopback.
  [[nodiscard]] static Result<Address> parse_local(std::string_view text);
  auto operator<=>(const Address&) const = default;
};

}  // namespace troth::rpc
