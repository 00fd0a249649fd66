#include "tests/sim/core/world.h"

#include <algorithm>

namespace troth::sim {

World::World(std::uint64_t seed, Trace trace) : seed_(seed), trace_(std::move(trace)) {
  Random streams(seed);
  for (std::size_t i = 0; i < kPurposes; ++i)
    random_.emplace_back(streams.next());
}

void World::after(Duration delay, Action action) {
  CHECK(delay >= Duration::zero());
  events_.push_back({now_ + delay, ++last_event_, std::move(action)});
  std::ranges::push_heap(events_, later);
}

void World::run_until(Duration end) {
  while (!stopped_ && !events_.empty() && events_.front().at <= end) {
    std::ranges::pop_heap(events_, later);
    auto event = std::move(events_.back());
    events_.pop_back();
    now_ = event.at;
    event.action();
  }
  now_ = end;
}

Duration draw(Random& random, Duration low, Duration high) {
  const auto width = static_cast<std::uint64_t>((high - low).count()) + 1;
  return low + Duration(static_cast<std::int64_t>(std::min(random.below(width), random.below(width))));
}

bool World::chance(Purpose purpose, std::uint32_t per_10000) {
  return per_10000 > 0 && random_[std::to_underlying(purpose)].below(10'000) < per_10000;
}

}  // namespace troth::sim
