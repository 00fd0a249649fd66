#include "tests/sim/tool/report.h"

#include <algorithm>
#include <array>
#include <ranges>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/sim/nodes/crash_point_names.h"
#include "tests/sim/rare_situations.h"

namespace troth::sim {

void Report::add(const Outcome& outcome, const std::string& replay) {
  if (seeds_++ == 0) from_ = outcome.seed;
  if (!outcome.broken.empty()) failures_.push_back({outcome.seed, outcome.broken, replay});
  hash_ = (hash_ ^ outcome.hash) * 0x100000001b3ULL;
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

double Report::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

std::string Report::text() const {
  std::string text = fmt::format(
      "{} seeds, {} failed; {:.1f} virtual hours in {:.1f} s ({:.2f} ms a seed); {} events; {} of {} "
      "transfers committed\n",
      seeds_, failed(), virtual_hours(), seconds(), seconds() * 1e3 / static_cast<double>(seeds_), events_,
      committed_, transfers_);
  text += "faults:\n";
  for (const auto& [name, count] : faults_)
    text += fmt::format("  {:>8}  {}\n", count, name);
  text += "rare situations:\n";
  for (const auto& [name, count] : rare_)
    text += fmt::format("  {:>8}  {}\n", count, name);
  return text;
}

std::string Report::failures() const {
  constexpr std::size_t kMostNamed = 10;
  std::string text;
  for (const auto& failure : failures_ | std::views::take(kMostNamed))
    text += fmt::format("failed: seed {}: {}\n  replay: {}\n", failure.seed, failure.broken.front(),
                        failure.replay);
  if (failures_.size() > kMostNamed) text += fmt::format("and {} more\n", failures_.size() - kMostNamed);
  return text;
}

std::string Report::json(std::string_view commit, std::chrono::system_clock::time_point now) const {
  nlohmann::ordered_json json;
  json["commit"] = commit;
  json["date"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  json["from"] = from_;
  json["seeds"] = seeds_;
  json["failed"] = failed();
  json["virtual_hours"] = virtual_hours();
  json["seconds"] = seconds();
  json["events"] = events_;
  json["hash"] = fmt::format("{:016x}", hash_);
  json["transfers"] = transfers_;
  json["decisions"] = committed_;
  json["faults"] = faults_;
  json["rare"] = rare_;
  json["failures"] = nlohmann::ordered_json::array();
  for (const auto& failure : failures_)
    json["failures"].push_back(
        {{"seed", failure.seed}, {"broken", failure.broken}, {"replay", failure.replay}});
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace troth::sim
