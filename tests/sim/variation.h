// tests/sim/variation.h
//
// What a run has otherwise than its seed says, as it is written behind --set:
//
//   clients=1,lost=0,strikes=3+7      one client, no lost message, and of the storm's strikes only the third and the seventh
//
// A failing seed is shrunk to such a line (tool/shrink.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tests/sim/swarm.h"

namespace troth::sim {

// A number of the swarm that can be set by name.
struct Knob {
  std::string_view name;
  std::uint64_t (*read)(const Swarm& swarm);
  void (*write)(Swarm& swarm, std::uint64_t value);
  std::uint64_t least = 0;
  bool has_steps = false;  // something between what it is and the least makes a smaller run, too
};
[[nodiscard]] std::span<const Knob> knobs();

struct Variation {
  std::map<std::string, std::uint64_t, std::less<>> numbers;  // by the name of a knob
  // Which strikes of the storm happen, counted from 1; nothing: all.
  std::optional<std::set<std::uint32_t>> strikes;

  [[nodiscard]] bool is_empty() const { return numbers.empty() && !strikes; }
  [[nodiscard]] bool has_strike(std::uint32_t number) const { return !strikes || strikes->contains(number); }
  // As behind --set.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static Result<Variation> read(std::string_view text);
};

[[nodiscard]] Swarm varied(Swarm swarm, const Variation& variation);

}  // namespace troth::sim
