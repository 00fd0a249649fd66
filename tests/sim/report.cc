#include "tests/sim/report.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tests/sim/nodes/crash_point_names.h"
#include "tests/sim/rare_situations.h"

namespace troth::sim {

void Report::add(const Outcome& outcome) {
  ++seeds_;
  if (!outcome.broken.empty()) ++failed_;
  events_ += outcome.events;
  transfers_ += outcome.transfers;
  committed_ += outcome.committed;
  virtual_time_ += outcome.virtual_time;
  for (const auto& [name, count] : outcome.faults)
    faults_[name] += count;
  for (const auto& [name, count] : outcome.rare)
    rare_[name] += count;
}

std::size_t Report::met() const {
  return kRareSituations.size() - never_met().size();
}

std::vector<std::string> Report::never_met() const {
  std::vector<std::string> names;
  for (const auto name : kRareSituations)
    if (!rare_.contains(std::string(name))) names.emplace_back(name);
  return names;
}

std::vector<std::string> Report::never_died_at() const {
  // These lie in the order of a driver's calls, which model databases do not have.
  constexpr std::array<std::string_view, 4> kInDrivers{"agent.after_marker", "agent.after_statement",
                                                       "agent.after_statements", "agent.before_taken_back"};
  std::vector<std::string> points;
  for (const auto list : {coordinator_crash_points(), agent_crash_points()})
    for (const auto point : list)
      if (std::ranges::find(kInDrivers, point) == kInDrivers.end() && !faults_.contains(crash_fault(point)))
        points.emplace_back(point);
  return points;
}

std::string Report::text() const {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  std::string text = fmt::format(
      "{} seeds, {} failed; {:.1f} virtual hours in {:.1f} s ({:.2f} ms a seed); {} events; {} of {} "
      "transfers committed\n",
      seeds_, failed_, static_cast<double>(virtual_time_.count()) / 3.6e9, took.count(),
      took.count() * 1e3 / static_cast<double>(seeds_), events_, committed_, transfers_);
  text += "faults:\n";
  for (const auto& [name, count] : faults_)
    text += fmt::format("  {:>8}  {}\n", count, name);
  text += "rare situations:\n";
  for (const auto& [name, count] : rare_)
    text += fmt::format("  {:>8}  {}\n", count, name);
  return text;
}

}  // namespace troth::sim
