#include "coordinator/consensus/chosen_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace troth::coordinator::consensus {

ChosenLog::ChosenLog(const Restored& restored, std::size_t bytes)
    : most_bytes_(bytes), before_(restored.snapshot) {
  for (const auto& [slot, accepted] : restored.accepted)
    if (slot <= restored.chosen) append(accepted.entry);
  CHECK(chosen() == restored.chosen, "{} of {} chosen slots", chosen().value, restored.chosen.value);
}

void ChosenLog::append(Entry entry) {
  bytes_ += size_of(entry);
  entries_.push_back(std::move(entry));
  trim();
}

void ChosenLog::keep_above(std::optional<Slot> slot, std::size_t bytes) {
  needed_above_ = slot;
  most_needed_bytes_ = std::max(bytes, most_bytes_);
  trim();
}

void ChosenLog::trim() {
  const auto is_too_much = [&] {
    return bytes_ > (needed_above_ && before_ >= *needed_above_ ? most_needed_bytes_ : most_bytes_);
  };
  while (!entries_.empty() && is_too_much()) {
    bytes_ -= size_of(entries_.front());
    entries_.pop_front();
    ++before_.value;
  }
}

void ChosenLog::jump_to(Slot slot) {
  CHECK(slot > chosen());
  entries_.clear();
  bytes_ = 0;
  before_ = slot;
}

std::optional<ChosenEntries> ChosenLog::behind(Slot above, std::size_t bytes) const {
  if (above < before_) return std::nullopt;
  ChosenEntries found{.first = {above.value + 1}, .entries = {}, .chosen = chosen()};
  MessageRoom room(bytes);
  for (auto index = above.value - before_.value; index < entries_.size() && room.take(entries_[index]);
       ++index)
    found.entries.push_back(entries_[index]);
  return found;
}

}  // namespace troth::coordinator::consensus
