#include "coordinator/consensus/phase_two.h"

#include <algorithm>
#include <utility>

namespace troth::coordinator::consensus {

std::optional<Instant> PhaseTwo::waits_since() const {
  if (in_flight_.empty()) return std::nullopt;
  return std::max(moved_, in_flight_.front().proposed);
}

Slot PhaseTwo::propose(Entry entry, Instant now) {
  bytes_ += size_of(entry);
  in_flight_.push_back({std::move(entry), {}, now});
  return last();
}

void PhaseTwo::accepted(ReplicaId by, Slot first, Slot last) {
  const auto from = std::max(first, Slot{chosen_.value + 1});
  const auto to = std::min(last, this->last());
  for (Slot slot = from; slot <= to; ++slot.value)
    in_flight_[slot.value - chosen_.value - 1].accepted.insert(by);
}

std::optional<Entry> PhaseTwo::next_chosen(const Membership& membership, Instant now) {
  if (in_flight_.empty()) return std::nullopt;
  auto& lowest = in_flight_.front();
  const auto& configuration = membership.at({chosen_.value + 1});
  if (votes_of(lowest.accepted, configuration) < configuration.quorums.write) return std::nullopt;
  Entry entry = std::move(lowest.entry);
  in_flight_.pop_front();
  bytes_ -= size_of(entry);
  ++chosen_.value;
  moved_ = now;
  return entry;
}

Accept PhaseTwo::missing_at(ReplicaId replica, std::size_t bytes) const {
  Accept accept{.ballot = ballot_, .first = {}, .entries = {}, .chosen = chosen_};
  MessageRoom room(bytes);
  for (std::size_t index = 0; index < in_flight_.size(); ++index) {
    if (in_flight_[index].accepted.contains(replica)) {
      if (!accept.entries.empty()) break;
      continue;
    }
    if (!room.take(in_flight_[index].entry)) break;
    if (accept.entries.empty()) accept.first = {chosen_.value + index + 1};
    accept.entries.push_back(in_flight_[index].entry);
  }
  return accept;
}

}  // namespace troth::coordinator::consensus
