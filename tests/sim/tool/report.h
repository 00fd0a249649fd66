// tests/sim/tool/report.h
//
// What many seeds came to.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/simulation.h"

namespace troth::sim {

class Report {
 public:
  Report() : began_(std::chrono::steady_clock::now()) {}

  // Outcomes in the order of their seeds; `replay`: the command that shows a failed one.
  void add(const Outcome& outcome, const std::string& replay = {});
  [[nodiscard]] std::uint64_t failed() const { return failures_.size(); }
  [[nodiscard]] std::uint64_t committed() const { return committed_; }
  // How many of the situations that it must have met a run has met.
  [[nodiscard]] std::size_t met() const;
  // Of the situations that a long run must have met (rare_situations.h).
  [[nodiscard]] std::vector<std::string> never_met() const;
  // Crash points at which no server died, of those that the simulator comes to.
  [[nodiscard]] std::vector<std::string> never_died_at() const;
  [[nodiscard]] std::string text() const;
  // The failed seeds, the first of them; empty: none.
  [[nodiscard]] std::string failures() const;
  // The same as one line of JSON. `commit`: what was run.
  [[nodiscard]] std::string json(std::string_view commit, std::chrono::system_clock::time_point now) const;
  [[nodiscard]] std::uint64_t seeds() const { return seeds_; }

 private:
  struct Failure {
    std::uint64_t seed;
    std::vector<std::string> broken;
    std::string replay;
  };
  [[nodiscard]] double virtual_hours() const { return static_cast<double>(virtual_time_.count()) / 3.6e9; }
  [[nodiscard]] double seconds() const;

  std::chrono::steady_clock::time_point began_;
  std::uint64_t from_ = 0;
  std::uint64_t seeds_ = 0;
  std::uint64_t hash_ = 0;  // of all their hashes
  std::vector<Failure> failures_;
  std::uint64_t events_ = 0;
  std::uint64_t transfers_ = 0;
  std::uint64_t committed_ = 0;
  Duration virtual_time_{};
  std::map<std::string, std::uint64_t> faults_;
  std::map<std::string, std::uint64_t> rare_;
};

}  // namespace troth::sim
