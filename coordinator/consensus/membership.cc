#include "coordinator/consensus/membership.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace troth::coordinator::consensus {

Membership::Membership(std::map<Slot, Configuration> configured, std::uint64_t window)
    : window_(window), configured_(std::move(configured)) {
  CHECK(!configured_.empty(), "a replica without a configuration");
}

const Configuration& Membership::at(Slot slot) const {
  const auto after = configured_.upper_bound(slot);
  CHECK(after != configured_.begin(), "no configuration is known for slot {}", slot.value);
  return std::prev(after)->second;
}

std::vector<Configuration> Membership::above(Slot slot) const {
  std::vector<Configuration> all{at({slot.value + 1})};
  for (auto each = configured_.upper_bound({slot.value + 1}); each != configured_.end(); ++each)
    all.push_back(each->second);
  return all;
}

std::vector<Configuration> Membership::above(Slot slot, std::vector<Configuration> revealed) const {
  auto all = above(slot);
  for (auto from = all.size() - 1; from < all.size(); ++from) {
    const Configuration before = all[from];
    const auto follows = std::ranges::stable_partition(
        revealed, [&](const Configuration& each) { return !check_change(before, each); });
    std::ranges::move(follows, std::back_inserter(all));
    revealed.erase(follows.begin(), follows.end());
  }
  return all;
}

Replicas voters_of(const std::vector<Configuration>& configurations) {
  Replicas all;
  for (const auto& configuration : configurations)
    all.insert(configuration.voters.begin(), configuration.voters.end());
  return all;
}

Replicas Membership::voters_above(Slot slot) const {
  return voters_of(above(slot));
}

Replicas Membership::everybody_above(Slot slot) const {
  Replicas all;
  for (const auto& configuration : above(slot))
    all.merge(configuration.everybody());
  return all;
}

bool Membership::change(Slot slot, const Configuration& next) {
  if (!is_settled(slot) || !check_change(newest(), next)) return false;
  configured_.emplace(effective(slot), next);
  return true;
}

std::vector<ConfiguredFrom> Membership::standing(Slot slot) const {
  std::vector<ConfiguredFrom> all;
  for (auto each = std::prev(configured_.upper_bound(slot)); each != configured_.end(); ++each)
    all.push_back({each->first, each->second});
  return all;
}

}  // namespace troth::coordinator::consensus
