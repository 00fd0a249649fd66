// coordinator/retention.h
//
// When outcomes may be forgotten: after the retention, or earlier when too many are kept, but never below a
// least age. Marks remember how far numbering had come at a time; a floor is always one of them.
//
// A request_id leaves only when its own timestamp is below the request floor (attack 43).
#pragma once

#include <deque>
#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/table_limits.h"

namespace troth::coordinator {

class Retention {
 public:
  // Each epoch's beginning is a mark that outlives restarts.
  Retention(const TableLimits& limits, const store::EpochAcquired& reign);

  // Everything below `next` was begun before `now`. Call at least every `interval()`.
  void note(WallTime now, Position next);
  [[nodiscard]] Duration interval() const;

  // Floors to choose in the store, if any rise. `oldest_undecided`: of those that may yet need a record; the
  // transaction floor does not pass it.
  [[nodiscard]] std::optional<store::Floors> proposal(WallTime now, Position oldest_undecided) const;

  void raised(const store::Floors& floors);
  void counted(const store::Counts& counts) { counts_ = counts; }
  [[nodiscard]] const store::Floors& floors() const { return floors_; }
  [[nodiscard]] std::uint64_t kept() const { return counts_.ended + counts_.barred; }

 private:
  struct Mark {
    WallTime at;
    Position next;
  };

  const TableLimits& limits_;
  std::deque<Mark> marks_;  // above the floor, oldest first
  store::Floors floors_;
  store::Counts counts_;
};

}  // namespace troth::coordinator
