// base/runtime/entropy.h
//
// True randomness from the kernel, for names that must never be made twice: nonces, ids, seeds.
// Protocol code takes a seeded base/random.h instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troth {

void fill_random(std::span<std::byte> bytes);

// Never 0, so that 0 can mean "none yet".
[[nodiscard]] std::uint64_t random_nonce();

// `length` letters of `alphabet` (at most 256 of them), each equally likely.
[[nodiscard]] std::string random_text(std::size_t length, std::string_view alphabet);

}  // namespace troth
