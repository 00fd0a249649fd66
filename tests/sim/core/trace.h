// tests/sim/core/trace.h
//
// What happened in one run, one line an event, and a running hash of it. The hash is over every event; the lines are made
// only for a run that somebody reads. Two runs of one seed that differ anywhere differ in their hash.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace troth::sim {

class Trace {
 public:
  // Where in a line it stands who it is: behind the time.
  static constexpr std::size_t kWhoColumn = 13;

  // `print`: where the lines go; empty: nowhere.
  explicit Trace(std::function<void(std::string_view)> print = {}) : print_(std::move(print)) {}

  // `who` and `what` and the numbers are hashed; `text()` is called only where lines are printed.
  template <typename Text>
  void event(Duration at, std::string_view who, std::string_view what, std::uint64_t number, Text text) {
    mix(static_cast<std::uint64_t>(at.count()));
    mix(who);
    mix(what);
    mix(number);
    ++events_;
    if (print_) print_line(at, who, what, text());
  }
  void event(Duration at, std::string_view who, std::string_view what, std::uint64_t number = 0) {
    event(at, who, what, number, [] { return std::string(); });
  }

  [[nodiscard]] bool is_printed() const { return static_cast<bool>(print_); }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  void print_line(Duration at, std::string_view who, std::string_view what, const std::string& text) const;
  // FNV-1a over words and letters.
  void mix(std::uint64_t word) { hash_ = (hash_ ^ word) * 0x100000001b3ULL; }
  void mix(std::string_view text) {
    for (const char letter : text)
      mix(static_cast<std::uint64_t>(static_cast<unsigned char>(letter)));
  }

  std::function<void(std::string_view)> print_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t events_ = 0;
};

}  // namespace troth::sim
