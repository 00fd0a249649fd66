#include "participant_agent/ended_positions.h"

#include <iterator>

namespace troth::agent {

void EndedPositions::add(Position position) {
  if (contains(position)) return;
  const auto above = runs_.upper_bound(position);
  const bool joins_above = above != runs_.end() && above->first.epoch == position.epoch &&
                           above->first.sequence.value == position.sequence.value + 1;
  const auto last = joins_above ? above->second : position.sequence;
  const auto below = above == runs_.begin() ? runs_.end() : std::prev(above);
  const bool joins_below = below != runs_.end() && below->first.epoch == position.epoch &&
                           below->second.value + 1 == position.sequence.value;
  if (joins_above) runs_.erase(above);
  if (joins_below) {
    below->second = last;
  } else {
    runs_.emplace(position, last);
  }
  if (runs_.size() > most_runs_) runs_.erase(runs_.begin());
}

bool EndedPositions::contains(Position position) const {
  const auto above = runs_.upper_bound(position);
  if (above == runs_.begin()) return false;
  const auto& [first, last] = *std::prev(above);
  return first.epoch == position.epoch && position.sequence <= last;
}

void EndedPositions::drop_below(Position watermark) {
  while (!runs_.empty() && Position{runs_.begin()->first.epoch, runs_.begin()->second} < watermark)
    runs_.erase(runs_.begin());
}

}  // namespace troth::agent
