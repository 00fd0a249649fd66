// coordinator/presumed_abort.h
//
// What the absence of a record means.
// [T5] Abort, only for a transaction without one-phase tag, of an epoch older than the newest one inside the
//      very prefix the answer was read from, or of this reign and over here, and above the floor. Whoever
//      asks has looked for an open record first: the floor passes those.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "coordinator/decision_store/decision_store.h"

namespace troth::coordinator {

enum class Absence : std::uint8_t {
  kAborted,     // it never commits
  kTooOld,      // below the floor: it may have committed and been forgotten
  kCannotTell,  // its reign may still choose it, or only its resource knows
};

// `over_here`: begun in this reign and no longer in its table.
[[nodiscard]] inline Absence read_absence(const TransactionId& id, const store::Prefix& prefix,
                                          bool over_here) {
  if (id.is_one_phase()) return Absence::kCannotTell;
  const bool cannot_be_chosen = id.epoch < prefix.epoch.number || over_here;
  if (!cannot_be_chosen) return Absence::kCannotTell;
  return position_of(id) < prefix.floors.transactions ? Absence::kTooOld : Absence::kAborted;
}

}  // namespace troth::coordinator
