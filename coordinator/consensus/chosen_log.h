// coordinator/consensus/chosen_log.h
//
// What is chosen, in the order of slots and without holes; the newest of it kept for those who lag behind. Who lags
// further needs a snapshot.
#pragma once

#include <deque>
#include <optional>

#include "coordinator/consensus/durable.h"

namespace troth::coordinator::consensus {

class ChosenLog {
 public:
  // `bytes`: how much of it is kept.
  ChosenLog(const Restored& restored, std::size_t bytes);

  [[nodiscard]] Slot chosen() const { return {before_.value + entries_.size()}; }
  // The next slot's.
  void append(Entry entry);
  // Meanwhile everything above it is kept, as far as it is still there, and up to so many bytes.
  void keep_above(std::optional<Slot> slot, std::size_t bytes);
  [[nodiscard]] Slot before_kept() const { return before_; }
  // The state up to `slot` came whole from elsewhere; entries follow behind it.
  void jump_to(Slot slot);

  // From the one behind `above` on, at most so many bytes, one at least. Nothing: they are no longer kept.
  [[nodiscard]] std::optional<ChosenEntries> behind(Slot above, std::size_t bytes) const;

 private:
  void trim();

  const std::size_t most_bytes_;
  std::optional<Slot> needed_above_;
  std::size_t most_needed_bytes_ = 0;
  std::size_t bytes_ = 0;
  Slot before_;  // the slot before the first that is kept
  std::deque<Entry> entries_;
};

}  // namespace troth::coordinator::consensus
