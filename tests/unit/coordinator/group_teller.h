// tests/unit/coordinator/group_teller.h
//
// Decisions at a group whose replicas take snapshots all the time, and what must hold of them.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/coordinator/group_on_disks.h"

namespace troth::coordinator::store {

// Segments as small as they may be, and a snapshot whenever the last one is durable.
inline void always(GroupStoreOptions& options) {
  with_segments(options, txlog::kMinSegmentBytes);
  options.snapshot_after_bytes = 1;
}
// Besides, next to nothing is kept for those that lag, and snapshots come in many chunks.
inline void always_and_forgetful(GroupStoreOptions& options) {
  always(options);
  options.limits.kept_bytes = 1000;
  options.limits.kept_behind_snapshot_bytes = std::size_t{1} << 20;
  options.chunk_bytes = 1500;
}

inline CommitRecord commit(Epoch epoch, std::uint64_t sequence) {
  return {{{"bank-x7k2p9"}, epoch.number, {sequence}, std::nullopt},
          {{{1}, {1}}},
          std::nullopt,
          {},
          {},
          "transfer"};
}

// Decisions that were answered, and must be there ever after.
class Teller {
 public:
  explicit Teller(GroupOnDisks& group) : group_(group) { begin(); }

  // After a change of leader.
  void begin() {
    const auto answer = get(AcquireEpoch{{++nonce_}, {}, {}});
    if (answer && std::holds_alternative<EpochAcquired>(*answer))
      epoch_ = std::get<EpochAcquired>(*answer).epoch;
    else
      EXPECT_TRUE(group_.has_failed());
  }
  // One after the other, so that each has an entry.
  void choose(std::uint64_t count) {
    for (; count > 0 && group_.leader().value != 0; --count) {
      const auto record = commit(epoch_, ++last_);
      const auto ticket = group_.ask(Choose{epoch_.number, record});
      group_.settle();
      const auto answer = group_.answer(ticket);
      if (answer && std::holds_alternative<Won>(*answer)) {
        won_.push_back(record);
        ++won_ever_;
      }
    }
  }
  // Everything but the last `kept` is ended and forgotten.
  void forget(std::uint64_t kept) {
    End end{epoch_.number, {}};
    while (won_.size() > kept) {
      end.ended.push_back({won_.front().transaction, {}, false});
      won_.erase(won_.begin());
    }
    if (won_.empty()) return;
    std::ignore = get(std::move(end));
    std::ignore = get(RaiseFloors{epoch_.number, {position_of(won_.front().transaction), 0}});
  }
  // At whoever leads.
  void expect_all() {
    for (const auto& record : won_) {
      const auto answer = get(Lookup{record.transaction});
      ASSERT_TRUE(answer && std::holds_alternative<Found>(*answer));
      const auto& found = std::get<Found>(*answer);
      ASSERT_TRUE(found.decision && found.decision->commit())
          << record.transaction.text() << " was answered, and is gone";
      EXPECT_EQ(*found.decision->commit(), record);
    }
  }
  [[nodiscard]] std::size_t won() const { return won_.size(); }
  [[nodiscard]] std::size_t won_ever() const { return won_ever_; }

 private:
  // Asked again where a lead ended over it [S6].
  std::optional<StoreAnswer> get(const Request& request) {
    for (int attempt = 0; attempt < 50 && !group_.has_failed(); ++attempt) {
      EXPECT_TRUE(group_.run_until([&] { return group_.leader().value != 0 || group_.has_failed(); }));
      if (group_.has_failed()) break;
      const auto ticket = group_.ask(request);
      group_.settle();
      auto answer = group_.answer(ticket);
      if (answer && !std::holds_alternative<Unknown>(*answer)) return answer;
    }
    return std::nullopt;
  }

  GroupOnDisks& group_;
  Epoch epoch_;
  std::uint64_t nonce_ = 0;
  std::uint64_t last_ = 0;
  std::size_t won_ever_ = 0;
  std::vector<CommitRecord> won_;
};

inline bool has_applied_all(GroupOnDisks& group, consensus::ReplicaId id) {
  const auto leader = group.leader();
  return leader.value != 0 && group.store(id).log().chosen() == group.store(leader).log().chosen() &&
         group.store(id).record_counts() == group.store(leader).record_counts();
}

}  // namespace troth::coordinator::store
