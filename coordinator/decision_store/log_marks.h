// coordinator/decision_store/log_marks.h
//
// Which part of a replica's log a snapshot makes superfluous: everything before the first record of a slot above it. What
// holds for the whole log (promise, configurations, start, positions) is said again behind the cut; see
// ReplicatedLog::restated.
//
// Not every record is remembered, only one place in every so many bytes: a cut is a little shorter than it might be.
#pragma once

#include <cstdint>
#include <deque>

#include "coordinator/consensus/durable.h"

namespace troth::coordinator::store {

// The slot that a record speaks of; zero: of none. What is chosen through a slot is to stay with what was accepted there.
[[nodiscard]] consensus::Slot slot_of(const consensus::DurableRecord& record);

class LogMarks {
 public:
  explicit LogMarks(std::uint64_t every_bytes) : every_bytes_(every_bytes) {}

  // Records in their order.
  void add(consensus::LogWrite write, consensus::Slot slot, std::uint64_t bytes);
  // Of what was added, the first that stays where the state up to `slot` is elsewhere. Everything before it speaks of
  // slots up to `slot` alone.
  [[nodiscard]] consensus::LogWrite first_kept(consensus::Slot slot) const;
  // What lies before `kept` is gone.
  void cut(consensus::LogWrite kept);

 private:
  struct Mark {
    consensus::LogWrite write;
    consensus::Slot highest_before;
  };
  std::uint64_t every_bytes_;
  std::uint64_t since_mark_ = 0;
  consensus::LogWrite next_{1};
  consensus::Slot highest_;
  std::deque<Mark> marks_;
};

}  // namespace troth::coordinator::store
