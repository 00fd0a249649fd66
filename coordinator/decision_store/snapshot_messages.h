// coordinator/decision_store/snapshot_messages.h
//
// What replicas say to each other of their snapshots, beside the replicated log, which knows slots and not what they are
// made of. Any of it may be lost, doubled, late or reordered [T10].
//
//   offered                        you lag further behind than I keep entries: here is a snapshot
//   chunk asked -> chunk sent      from an offset on
//               -> withdrawn       it is gone; fetch again, and you are offered another
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/ids.h"
#include "coordinator/consensus/ballot.h"

namespace troth::coordinator::store {

// One file: `salt` is random, and another one for each that is written.
struct SnapshotName {
  consensus::Slot slot;
  std::uint64_t salt = 0;
  auto operator<=>(const SnapshotName&) const = default;
};

struct SnapshotOffered {
  SnapshotName name;
  std::uint64_t bytes = 0;
  ClusterId cluster;
  bool operator==(const SnapshotOffered&) const = default;
};
struct ChunkAsked {
  SnapshotName name;
  std::uint64_t offset = 0;
  bool operator==(const ChunkAsked&) const = default;
};
struct ChunkSent {
  SnapshotName name;
  std::uint64_t offset = 0;
  std::string bytes;
  bool operator==(const ChunkSent&) const = default;
};
struct SnapshotWithdrawn {
  SnapshotName name;
  bool operator==(const SnapshotWithdrawn&) const = default;
};
using SnapshotMessage = std::variant<SnapshotOffered, ChunkAsked, ChunkSent, SnapshotWithdrawn>;

}  // namespace troth::coordinator::store
