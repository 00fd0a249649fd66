// coordinator/runtime/wire_parts.h
//
// What the wire files share: checks of what a service sent, and Thrift structs as opaque bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "base/result.h"
#include "base/time.h"
#include "thrift/gen/transactions_types.h"

namespace troth::coordinator {

inline constexpr std::size_t kMaxClientName = 64;
inline constexpr std::size_t kMaxLabel = 256;
inline constexpr std::size_t kMaxTraceparent = 128;

[[nodiscard]] std::unexpected<Error> refuse(std::string message);
[[nodiscard]] Status check_text(std::string_view what, std::string_view text, std::size_t max_bytes);
[[nodiscard]] Result<Duration> milliseconds_of(std::string_view what, std::int64_t ms);
// In memory, for the limits.
[[nodiscard]] std::size_t bytes_in(const wire::Statement& statement);

template <typename Enum>
[[nodiscard]] std::unexpected<Error> unknown_value(std::string_view what, Enum value) {
  return refuse(fmt::format("{} {} is not known to this version", what, static_cast<int>(value)));
}

using CompactBytes = apache::thrift::protocol::TCompactProtocolT<apache::thrift::transport::TMemoryBuffer>;

template <typename Struct>
[[nodiscard]] std::string bytes_of(const Struct& value) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  CompactBytes protocol(buffer);
  value.write(&protocol);
  return buffer->getBufferAsString();
}

// Throws Thrift's exceptions on bytes that `bytes_of` did not make.
template <typename Struct>
[[nodiscard]] Struct from_bytes(const std::string& bytes) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  buffer->write(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                static_cast<std::uint32_t>(bytes.size()));
  CompactBytes protocol(buffer);
  Struct value;
  value.read(&protocol);
  return value;
}

}  // namespace troth::coordinator
