// coordinator/consensus/durable.h
//
// What a replica writes to its own log, and what it has of it after a start. The order of records is the order in
// which they were appended, and each is durable when those before it are.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/consensus/ballot.h"
#include "coordinator/consensus/entry.h"
#include "coordinator/consensus/messages.h"

namespace troth::coordinator::consensus {

// No prepare or accept of a lower ballot is taken any more.
struct Promised {
  Ballot ballot;
  bool operator==(const Promised&) const = default;
};
// Chosen: heard from a replica that knows, for it need not be what was accepted here. The slot behind the last that was
// known to be chosen, always, so that nothing accepted is forgotten over it.
struct Learned {
  Slot slot;
  Entry entry;
  bool operator==(const Learned&) const = default;
};
// Each slot up to here is chosen, as it was accepted last. Nothing waits for it: it spares a start to ask.
struct ChosenThrough {
  Slot slot;
  bool operator==(const ChosenThrough&) const = default;
};
// Which configuration counts the votes from a slot on, restated where the change itself may be cut.
struct ConfiguredFrom {
  Slot slot;
  Configuration configuration;
  bool operator==(const ConfiguredFrom&) const = default;
};

// A start asks others what they know of it. What it may have said is up to here, whatever it learns before it votes.
struct StandingAsked {
  LogPosition position;
  bool operator==(const StandingAsked&) const = default;
};
// It votes: the starts that did are counted.
struct Started {
  std::uint64_t start = 0;
  bool operator==(const Started&) const = default;
};
// How far the others' logs are known to have come.
struct PositionsKnown {
  std::map<ReplicaId, LogPosition> positions;
  bool operator==(const PositionsKnown&) const = default;
};
// For how long others are refused after a start: at least the wait of every lease that may be granted (lease_pledge.h).
struct WaitsAfterStart {
  Duration wait;
  bool operator==(const WaitsAfterStart&) const = default;
};

using DurableRecord = std::variant<Promised, Accepted, Learned, ChosenThrough, ConfiguredFrom, Started,
                                   PositionsKnown, WaitsAfterStart, StandingAsked>;

// About what it takes of memory, in bytes.
[[nodiscard]] inline std::size_t size_of(const DurableRecord& record) {
  if (const auto* accepted = std::get_if<Accepted>(&record)) return size_of(accepted->entry);
  if (const auto* learned = std::get_if<Learned>(&record)) return size_of(learned->entry);
  return sizeof(record);
}

// What a start has read.
struct Restored {
  Ballot promised;
  Slot snapshot;                             // the state up to here comes from elsewhere
  Slot chosen;                               // at least `snapshot`
  std::map<Slot, Accepted> accepted;         // above `snapshot`; with the chosen entry up to `chosen`
  std::map<Slot, Configuration> configured;  // from which slot on; never empty
  std::map<ReplicaId, LogPosition> positions;
  std::uint64_t start = 0;
  std::optional<LogPosition> asked;  // the last start did not come to vote
  // None: no lease was granted but by the terms of the first configuration, which stands in the log; one whose beginning is cut
  // says the wait again.
  std::optional<Duration> wait;
  Duration configured_wait{};  // the longest of the configurations that stand in the log by themselves
  LogWrite written;
  bool cut_tail = false;  // its last batch was bad: never synced, or rotted since

  // Takes the next record. Refuses (kCorrupt) a chosen slot that nothing was written of, or that came too early.
  [[nodiscard]] Status take(const DurableRecord& record);
  // Through which write the log has what this replica said.
  [[nodiscard]] LogPosition position() const;
  // For how long others are refused.
  [[nodiscard]] Duration waits() const;
};

}  // namespace troth::coordinator::consensus
