// txlog/bytes.h
//
// The log knows bytes, not transactions. An owner's payload comes and goes as a view of bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace troth::txlog {

using Bytes = std::span<const std::byte>;

[[nodiscard]] inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

[[nodiscard]] inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// True if every byte is zero: a preallocated place that was never written.
[[nodiscard]] bool all_zero(Bytes bytes);

}  // namespace troth::txlog
