#include "participant_agent/dialect/literals.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::agent {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(".-_:/ ").find(c) != std::string_view::npos;
}

// FNV-1a, 64 bits.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

template <typename Octets>
std::string_view view_of(const Octets& octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

}  // namespace

std::string hexadecimal(std::string_view octets) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  digits.reserve(2 * octets.size());
  for (const char c : octets) {
    digits += kDigits[static_cast<std::uint8_t>(c) >> 4];
    digits += kDigits[static_cast<std::uint8_t>(c) & 15];
  }
  return digits;
}

std::string plain_literal(std::string_view text) {
  CHECK(std::ranges::all_of(text, is_plain), "not plain: {}", hexadecimal(text));
  return fmt::format("'{}'", text);
}

std::string quoted_literal(std::string_view text) {
  CHECK(text.find('\\') == std::string_view::npos, "what a backslash means is a setting: {}",
        hexadecimal(text));
  std::string literal = "'";
  for (const char c : text) {
    literal += c;
    if (c == '\'') literal += c;
  }
  return literal + "'";
}

std::string nonce_literal(Nonce nonce) {
  return fmt::format("'{:016x}'", nonce.value);
}

std::string request_barrier_name(const RequestKey& request) {
  return fmt::format("r{}.{:014x}", hexadecimal(octets_of(request.id)), hash_of(request.client) >> 8);
}

RequestId first_request_id_of(std::uint64_t unix_ms) {
  RequestId id;
  for (std::size_t i = 0; i < 6; ++i)
    id.bytes[i] = static_cast<std::uint8_t>(unix_ms >> (8 * (5 - i)));
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  return id;
}

std::string_view octets_of(const RequestId& id) {
  return view_of(id.bytes);
}

std::string_view octets_of(const Digest& digest) {
  return view_of(digest.bytes);
}

}  // namespace troth::agent
