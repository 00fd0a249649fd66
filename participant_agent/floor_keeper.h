// participant_agent/floor_keeper.h
//
// Forgets markers of one resource in two steps, so that nobody misses both the row and the floor (attack 42):
//
//   idle --> raising the floors --> waiting for every branch older than the raise --> deleting --> idle
//
// [T6] A floor never passes the group's, nor a branch of which the leader may still ask.
// A branch reads the floors behind its marker insert. One that began before the raise may have read the old
// ones, so rows go only when each such branch has ended, prepared ones included; only this agent runs
// branches here.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <variant>

#include "base/ids.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::agent {

class FloorKeeper {
 public:
  FloorKeeper() = default;
  explicit FloorKeeper(const Floors& raised) : raised_(raised) {}

  // The floors to commit now, if they are above the old ones and nothing is under way.
  [[nodiscard]] std::optional<Floors> raise_to(const Floors& wanted);
  // They are committed; `live` are the branches that may have read the old ones.
  void committed(const Floors& floors, std::set<BranchId> live);
  void branch_ended(const BranchId& id);
  // The resource was lost while something was under way; it begins again later.
  void interrupted();

  // Rows below these may be deleted now; asked once for each batch.
  [[nodiscard]] std::optional<Floors> delete_below();
  // The batch was deleted; `last` when no more rows are left.
  void deleted(bool last);

  [[nodiscard]] const Floors& raised() const { return raised_; }

 private:
  struct Idle {};
  struct Raising {};
  struct Waiting {
    std::set<BranchId> older;
  };
  struct Deleting {};

  Floors raised_;
  std::variant<Idle, Raising, Waiting, Deleting> state_;
};

}  // namespace troth::agent
