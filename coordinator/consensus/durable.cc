#include "coordinator/consensus/durable.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth::coordinator::consensus {

Status Restored::take(const DurableRecord& record) {
  ++written.value;
  if (const auto* from = std::get_if<ConfiguredFrom>(&record))
    configured_wait = std::max(configured_wait, from->configuration.lease_terms.waited());
  if (const auto* promise = std::get_if<Promised>(&record)) {
    promised = std::max(promised, promise->ballot);
  } else if (const auto* acceptance = std::get_if<Accepted>(&record)) {
    // To accept is to promise.
    promised = std::max(promised, acceptance->ballot);
    if (acceptance->slot > snapshot) accepted.insert_or_assign(acceptance->slot, *acceptance);
  } else if (const auto* learned = std::get_if<Learned>(&record)) {
    if (learned->slot <= chosen) return {};
    if (learned->slot.value != chosen.value + 1)
      return fail(ErrorCode::kCorrupt, Effect::kUnknown,
                  fmt::format("the log learned slot {} behind slot {}", learned->slot.value, chosen.value));
    chosen = learned->slot;
    auto& known = accepted[learned->slot];
    known.slot = learned->slot;
    known.entry = learned->entry;
  } else if (const auto* through = std::get_if<ChosenThrough>(&record)) {
    for (Slot slot{chosen.value + 1}; slot <= through->slot; ++slot.value)
      if (!accepted.contains(slot))
        return fail(ErrorCode::kCorrupt, Effect::kUnknown,
                    fmt::format("the log says that slot {} is chosen and has nothing of it", slot.value));
    chosen = std::max(chosen, through->slot);
  } else if (const auto* from = std::get_if<ConfiguredFrom>(&record)) {
    // The snapshot itself says by which the slot behind it is counted.
    if (snapshot.value == 0 || from->slot.value > snapshot.value + 1)
      configured.insert_or_assign(from->slot, from->configuration);
  } else if (const auto* started = std::get_if<Started>(&record)) {
    start = std::max(start, started->start);
    asked.reset();
  } else if (const auto* asks = std::get_if<StandingAsked>(&record)) {
    start = std::max(start, asks->position.start);
    asked = asks->position;
  } else if (const auto* waits = std::get_if<WaitsAfterStart>(&record)) {
    wait = waits->wait;
  } else {
    for (const auto& [replica, position] : std::get<PositionsKnown>(record).positions)
      positions[replica] = std::max(positions[replica], position);
  }
  return {};
}

LogPosition Restored::position() const {
  return asked ? *asked : LogPosition{start, written};
}

Duration Restored::waits() const {
  if (wait) return *wait;
  return std::max(configured_wait, configured.begin()->second.lease_terms.waited());
}

}  // namespace troth::coordinator::consensus
