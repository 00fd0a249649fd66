// tests/sim/report.h
//
// What many seeds came to.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace troth::sim {

class Report {
 public:
  Report() : began_(std::chrono::steady_clock::now()) {}

  void add(const Outcome& outcome);
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] std::uint64_t committed() const { return committed_; }
  // How many of the situations that it must have met a run has met.
  [[nodiscard]] std::size_t met() const;
  // Of the situations that a long run must have met (rare_situations.h).
  [[nodiscard]] std::vector<std::string> never_met() const;
  // Crash points at which no server died, of those that the simulator comes to.
  [[nodiscard]] std::vector<std::string> never_died_at() const;
  [[nodiscard]] std::string text() const;

 private:
  std::chrono::steady_clock::time_point began_;
  std::uint64_t seeds_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t transfers_ = 0;
  std::uint64_t committed_ = 0;
  Duration virtual_time_{};
  std::map<std::string, std::uint64_t> faults_;
  std::map<std::string, std::uint64_t> rare_;
};

}  // namespace troth::sim
