// participant_agent/ended_positions.h
//
// Transactions that the leader has ended, and that its watermark has not passed yet: a request of one that comes late is
// refused instead of begun anew [T12]. Kept as runs, because most transactions end in about the order of their begin.
#pragma once

#include <cstddef>
#include <map>

#include "base/ids.h"

namespace troth::agent {

class EndedPositions {
 public:
  // At most so many runs: the lowest go first. A late request of one of those meets its marker in the database.
  explicit EndedPositions(std::size_t most_runs) : most_runs_(most_runs) {}

  void add(Position position);
  [[nodiscard]] bool contains(Position position) const;
  // What the watermark has passed needs no memory.
  void drop_below(Position watermark);
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

 private:
  const std::size_t most_runs_;
  std::map<Position, Sequence>
      runs_;  // from its first through that sequence of the same epoch; neighbours are joined
};

}  // namespace troth::agent
