#include "base/runtime/entropy.h"

#include <cerrno>

#include <sys/random.h>

#include "base/check.h"

namespace troth {

void fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const auto got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0, "getrandom failed with errno {}", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::uint64_t random_nonce() {
  std::uint64_t nonce = 0;
  while (nonce == 0)
    fill_random(std::as_writable_bytes(std::span(&nonce, 1)));
  return nonce;
}

std::string random_text(std::size_t length, std::string_view alphabet) {
  CHECK(!alphabet.empty() && alphabet.size() <= 256);
  // A byte at or above the largest multiple of the alphabet's size would favour its first letters.
  const std::size_t fair = 256 / alphabet.size() * alphabet.size();
  std::string text;
  while (text.size() < length) {
    std::byte drawn{};
    fill_random(std::span(&drawn, 1));
    const auto value = std::to_integer<std::size_t>(drawn);
    if (value < fair) text += alphabet[value % alphabet.size()];
  }
  return text;
}

}  // namespace troth
