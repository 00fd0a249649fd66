// base/check.h
//
// An invariant that is always on, in production too. A broken one prints what it knew and aborts the process:
// the transaction's truth is on disk and in the databases, so stopping loses nothing, while going on might.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

namespace troth {

[[noreturn]] inline void check_failed(const char* file, int line, const char* condition,
                                      const std::string& known) {
  std::fputs(
      fmt::format("CHECK failed at {}:{}: {}{}{}\n", file, line, condition, known.empty() ? "" : ": ", known)
          .c_str(),
      stderr);
  std::abort();
}

}  // namespace troth

// CHECK(condition) or CHECK(condition, "format {}", what_was_known...).
#define CHECK(condition, ...)                                                               \
  do {                                                                                      \
    if (!(condition)) [[unlikely]] {                                                        \
      ::troth::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    }                                                                                       \
  } while (false)
