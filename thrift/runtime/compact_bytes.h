// thrift/runtime/compact_bytes.h
//
// Structs of the contract as bytes in Thrift's compact protocol, for logs and for messages that are no calls: written whole, and
// read whole with what Thrift does not check. Bytes may be damaged, or of somebody who means harm.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "base/result.h"

namespace troth::compact {

// Bytes that no writer of ours has made. Thrown between here and guarded(), which every reader is inside of.
struct Impossible {
  std::string what;
};

inline void need(bool present) {
  if (!present) throw Impossible{"a field is missing"};
}

// Sums of two of them do not overflow; a group that chooses a million slots a second takes 70,000 years.
inline constexpr std::int64_t kHighestNumber = std::int64_t{1} << 61;

inline std::uint64_t read_number(std::int64_t value) {
  if (value < 0 || value > kHighestNumber) throw Impossible{fmt::format("the number {}", value)};
  return static_cast<std::uint64_t>(value);
}

template <typename Wire>
std::string write(const Wire& wire) {
  using apache::thrift::transport::TMemoryBuffer;
  const auto memory = std::make_shared<TMemoryBuffer>();
  apache::thrift::protocol::TCompactProtocolT<TMemoryBuffer> protocol(memory);
  wire.write(&protocol);
  return memory->getBufferAsString();
}

// No text is longer than all of it, no list has more than `most_elements`, and nothing stands behind its end.
template <typename Wire>
Wire read(std::string_view bytes, std::int32_t most_elements) {
  using apache::thrift::transport::TMemoryBuffer;
  // Thrift only reads from the buffer, though it wants it writable.
  auto* data = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes.data()));
  const auto memory =
      std::make_shared<TMemoryBuffer>(data, static_cast<std::uint32_t>(bytes.size()), TMemoryBuffer::OBSERVE);
  const auto longest = std::min<std::size_t>(bytes.size(), std::numeric_limits<std::int32_t>::max());
  apache::thrift::protocol::TCompactProtocolT<TMemoryBuffer> protocol(
      memory, static_cast<std::int32_t>(longest), most_elements);
  Wire wire;
  wire.read(&protocol);
  if (memory->available_read() != 0)
    throw Impossible{fmt::format("{} bytes behind its end", memory->available_read())};
  return wire;
}

// What `read` makes, or an error (effect none) that says why it cannot.
template <typename T, typename Read>
Result<T> guarded(ErrorCode code, std::string_view what, const Read& read) {
  const auto refuse = [&](std::string_view why) {
    return fail(code, Effect::kNone, fmt::format("{} cannot be read: {}", what, why));
  };
  try {
    return read();
  } catch (const apache::thrift::TException& e) {
    return refuse(e.what());
  } catch (const Impossible& e) {
    return refuse(e.what);
  }
}

}  // namespace troth::compact
