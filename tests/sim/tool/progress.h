// tests/sim/tool/progress.h
//
// Says on standard error how far a long run is: on a terminal every second in one line, elsewhere every ten in a new one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace troth::sim {

class Progress {
 public:
  Progress(std::uint64_t seeds, bool is_terminal);
  // Wipes its line out, where it has one, for what is printed next.
  void make_room();
  void tell(std::uint64_t done, std::uint64_t failed);

  // What it says, after so long.
  [[nodiscard]] std::string text(std::uint64_t done, std::uint64_t failed,
                                 std::chrono::duration<double> took) const;

 private:
  std::uint64_t seeds_;
  bool is_terminal_;
  bool has_line_ = false;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point told_ = began_;
};

}  // namespace troth::sim
