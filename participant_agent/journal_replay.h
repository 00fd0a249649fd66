// participant_agent/journal_replay.h
//
// What the journal of earlier starts says. Records are applied in their order; applying one twice changes
// nothing, so that a checkpoint may repeat what stands before it.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "participant_agent/journal_records.h"

namespace troth::agent {

// A resource's owner entries and identity, as last written.
struct OwnershipMemory {
  // Since `owned`, the newest last: an earlier start's may still come to its row, behind that start's back (attack 45).
  std::vector<OwnerRow> claims;
  std::optional<OwnerRow> owned;
  std::uint64_t counter = 0;
  std::string gtid;
  std::optional<ResourceIdentity> identity;
  bool take_over_untold = false;  // the coordinators have yet to hear that it was taken from another
  bool operator==(const OwnershipMemory&) const = default;

  static constexpr std::size_t kMaxClaims = 16;
  void claim(const OwnerRow& row);
  void own(const OwnerRow& row);
  // It is the one that is owned, or one that was claimed.
  [[nodiscard]] bool knows(const OwnerRow& row) const;
};

struct JournalState {
  struct Open {
    ResourceName resource;
    std::optional<BranchBegun> begun;
    bool commit_learned = false;
    std::optional<Resolved> resolution;
    std::optional<BranchEnd> end;  // ended here, and the leader may still ask
  };

  Incarnation last_start;
  std::optional<Epoch> epoch;
  std::optional<Epoch> rival;  // the same number with another nonce, and no newer reign since [T8]
  Position watermark;
  std::map<ResourceName, OwnershipMemory> ownership;
  std::map<ResourceName, Floors> floors;
  std::map<BranchId, Open> branches;
  // Bytes at the journal's end had to be cut: something written there may be lost [T5].
  bool tail_was_cut = false;

  void apply(const JournalRecord& record);

  // One above every incarnation that ever began or claimed something.
  [[nodiscard]] Incarnation next_incarnation() const;
};

}  // namespace troth::agent
