// What is chosen: told by the leader, fetched from others, delivered in order.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

// What the leader proposed in its ballot is what it speaks of; of older acceptances only a replica that knows can tell.
void ReplicatedLog::told_chosen(ReplicaId from, const Ballot& ballot, Slot through) {
  while (chosen() < through) {
    const auto* accepted = acceptor_.at({chosen().value + 1});
    if (accepted == nullptr || accepted->ballot != ballot) break;
    deliver(accepted->entry);
  }
  if (chosen() < through) fetch(from);
}

void ReplicatedLog::fetch(ReplicaId from) {
  if ((fetching_until_ && now_ < *fetching_until_) || !unwritten_.has_room(0)) return;
  fetching_until_ = now_ + options_.timing.resend;
  send(from, Fetch{.above = chosen()});
}

void ReplicatedLog::hear_fetch(ReplicaId from, const Fetch& fetch) {
  if (fetch.above >= chosen()) return;
  if (auto entries = chosen_.behind(fetch.above, options_.limits.message_bytes)) {
    send(from, std::move(*entries));
  } else {
    effects_.emplace_back(SendSnapshot{from, chosen_.before_kept()});
  }
}

// A leader proposes every slot above those it knew, and counts them itself: what it fetched before comes too late.
void ReplicatedLog::hear_chosen_entries(ReplicaId from, ChosenEntries& entries) {
  if (is_leading()) return;
  Slot slot = entries.first;
  bool moved = false;
  for (auto& entry : entries.entries) {
    if (slot.value == chosen().value + 1) {
      if (!unwritten_.has_room(size_of(entry))) break;
      write_chosen();
      append(Learned{slot, entry});
      note_written(slot);
      deliver(std::move(entry));
      moved = true;
    }
    ++slot.value;
  }
  if (!moved) return;
  fetching_until_.reset();
  if (chosen() < entries.chosen) fetch(from);
  try_to_lead();
  settle_standing();
}

void ReplicatedLog::snapshot_installed(const SnapshotInstalled& installed) {
  if (installed.slot <= chosen()) return;
  if (is_leading()) step_down("its state came from another replica");
  chosen_.jump_to(installed.slot);
  acceptor_.forget_through(installed.slot);
  membership_ = Membership(installed.configured, options_.window);
  note_written(installed.slot);
  fetching_until_.reset();
  proceed_with_quorum_reads();
  answer_session_reads();
  try_to_lead();
}

void ReplicatedLog::deliver(Entry entry) {
  const Slot slot{chosen().value + 1};
  if (const auto* change = std::get_if<ChangeConfiguration>(&entry)) membership_.change(slot, change->next);
  effects_.emplace_back(Deliver{slot, entry});
  if (slot > chosen_written_) chosen_unwritten_bytes_ += size_of(entry);
  chosen_.append(std::move(entry));
  acceptor_.forget_through(slot);
  proceed_with_quorum_reads();
  answer_session_reads();
  const bool is_much = slot.value - chosen_written_.value >= options_.limits.unwritten_chosen ||
                       chosen_unwritten_bytes_ >= options_.limits.unwritten_chosen_bytes;
  if (slot > chosen_written_ && is_much && unwritten_.has_room(0)) write_chosen();
}

void ReplicatedLog::write_chosen() {
  if (chosen_written_ == chosen()) return;
  append(ChosenThrough{chosen()});
  note_written(chosen());
  chosen_written_at_ = now_;
}

void ReplicatedLog::note_written(Slot chosen) {
  chosen_written_ = chosen;
  chosen_unwritten_bytes_ = 0;
}

void ReplicatedLog::write_chosen_if_old() {
  if (now_ - chosen_written_at_ < options_.timing.idle || !unwritten_.has_room(0)) return;
  chosen_written_at_ = now_;
  write_chosen();
  if (std::exchange(positions_written_, true)) return;
  append(PositionsKnown{positions_});
}

}  // namespace troth::coordinator::consensus
