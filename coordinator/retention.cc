#include "coordinator/retention.h"

#include <algorithm>
#include <chrono>

namespace troth::coordinator {
namespace {

std::uint64_t unix_ms(WallTime at) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  return ms < 0 ? 0 : static_cast<std::uint64_t>(ms);
}

}  // namespace

Retention::Retention(const TableLimits& limits, const store::EpochAcquired& reign)
    : limits_(limits), floors_(reign.floors), counts_(reign.counts) {
  for (const auto& epoch : reign.history)
    note(epoch.acquired, {epoch.epoch.number, Sequence{1}});
}

Duration Retention::interval() const {
  return std::max<Duration>(std::chrono::seconds{1}, std::min(limits_.retention / 64, limits_.least_age / 4));
}

void Retention::note(WallTime now, Position next) {
  // A clock that was ahead left marks in the future. Until it came there nothing would be noted, nor forgotten.
  while (!marks_.empty() && marks_.back().at > now)
    marks_.pop_back();
  const bool wanted = marks_.empty() || (marks_.back().at + interval() <= now && marks_.back().next <= next);
  if (wanted) marks_.push_back({now, next});
}

std::optional<store::Floors> Retention::proposal(WallTime now, Position oldest_undecided) const {
  // Too many are kept: what may go goes one mark at a time, so that no more is forgotten than must be.
  const bool too_many = kept() >= limits_.kept_records - limits_.kept_records / 4;
  std::optional<store::Floors> proposed;
  for (const auto& mark : marks_) {
    const bool retained_long_enough = mark.at + limits_.retention <= now;
    const bool may_go = mark.at + limits_.least_age <= now;
    if (!retained_long_enough && !(too_many && may_go && !proposed)) break;
    const store::Floors candidate{std::max(floors_.transactions, std::min(mark.next, oldest_undecided)),
                                  std::max(floors_.request_ms, unix_ms(mark.at))};
    if (candidate != floors_) proposed = candidate;
  }
  return proposed;
}

void Retention::raised(const store::Floors& floors) {
  floors_ = floors;
  while (!marks_.empty() && marks_.front().next <= floors_.transactions &&
         unix_ms(marks_.front().at) <= floors_.request_ms)
    marks_.pop_front();
}

}  // namespace troth::coordinator
