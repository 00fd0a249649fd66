// A snapshot of a table that changes while it is taken is the table's state where it ends, whatever is asked in between.
#include <gtest/gtest.h>

#include "base/random.h"
#include "coordinator/decision_store/group_engine.h"

namespace troth::coordinator::store {
namespace {

// Everything that lives, in one order.
std::vector<LogRecord> everything(AppliedState& state) {
  RecordTable::CopyCursor cursor;
  std::vector<LogRecord> all;
  while (cursor.stage != RecordTable::CopyCursor::Stage::kDone) {
    auto piece = state.records.copy_forward(cursor, {UINT64_MAX}, {1ULL << 40}, 1000);
    std::ranges::move(piece, std::back_inserter(all));
  }
  return all;
}

class ChangingTable {
 public:
  explicit ChangingTable(std::uint64_t seed) : random_(seed) { ask(AcquireEpoch{{1}, {}, {}}); }

  // What it wrote, for a snapshot.
  std::vector<LogRecord> change() {
    const TransactionId id{{"bank-x7k2p9"}, epoch(), {1 + random_.below(40)}, std::nullopt};
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2: return ask(Choose{epoch(), CommitRecord{id, {{{1}, {1}}}, key(), {}, {}, "label"}});
      case 3: return ask(Choose{epoch(), PreCommitRecord{id, {{{1}, {1}}}, {}}});
      case 4: return ask(Choose{epoch(), AbortRecord{id, {}, "no"}});
      case 5: return ask(Choose{epoch(), BarredRecord{key().value_or(RequestKey{}), {}}});
      case 6:
      case 7: return ask(End{epoch(), {{id, {}, random_.one_in(2)}}});
      case 8: return ask(Resolve{epoch(), {id, {1}, {"pg"}, random_.one_in(2), "lost", "ann", {}}});
      case 9:
        return ask(RegisterResource{epoch(),
                                    {{"r" + std::to_string(random_.below(5))},
                                     {},
                                     "pg",
                                     "1",
                                     {"a"},
                                     {random_.below(3)},
                                     "127.0.0.1:1"}});
      case 10:
        floor_ += random_.below(3);
        request_floor_ += random_.below(30);
        return ask(RaiseFloors{epoch(), {{epoch(), {floor_}}, request_floor_}});
      default:
        if (!random_.one_in(4)) return {};
        // What is below the floor is over; positions begin anew.
        floor_ = 0;
        return ask(AcquireEpoch{{random_.next()}, {}, {}});
    }
  }

  GroupEngine engine{{{1}, {1}}, {}};
  AppliedState copy{};  // that applied the same

 private:
  EpochNumber epoch() const { return engine.records().epoch().number; }
  std::optional<RequestKey> key() {
    if (random_.one_in(3)) return std::nullopt;
    RequestKey key{"teller", {}};
    // In the first six bytes: its own timestamp.
    const auto ms = request_floor_ + random_.below(40);
    key.id.bytes[4] = static_cast<std::uint8_t>(ms >> 8);
    key.id.bytes[5] = static_cast<std::uint8_t>(ms);
    key.id.bytes[6] = 0x70;
    key.id.bytes[8] = 0x80;
    return key;
  }
  std::vector<LogRecord> ask(Request request) {
    ++slot_.value;
    const auto reply = copy.records.apply(request, copy.next);
    copy.next.value += reply.append.size();
    Batch batch{.origin = {{2}, {2}}, .requests = {{{slot_.value}, std::move(request)}}};
    std::vector<LogRecord> applied;
    for (auto& effect : engine.step(GroupEngine::BatchDelivered{slot_, std::move(batch)}))
      if (auto* records = std::get_if<GroupEngine::Applied>(&effect)) applied = std::move(records->records);
    EXPECT_EQ(applied, reply.append);
    return applied;
  }

  Random random_;
  consensus::Slot slot_;
  std::uint64_t floor_ = 0;
  std::uint64_t request_floor_ = 1;
};

TEST(TableSnapshot, IsTheStateWhereItEndsWhateverIsAppliedMeanwhile) {
  std::size_t records = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed * 7919);
    ChangingTable table(seed);
    for (std::uint64_t before = random.below(120); before > 0; --before)
      std::ignore = table.change();
    AppliedState restored;
    RecordTable::CopyCursor cursor;
    const auto take = [&](const std::vector<LogRecord>& piece) {
      for (const auto& record : piece) {
        const auto taken = restored.restore(record);
        ASSERT_TRUE(taken.has_value()) << "seed " << seed << ": " << taken.error().message;
        ++records;
      }
    };
    while (cursor.stage != RecordTable::CopyCursor::Stage::kDone) {
      take(table.engine.copy_live(cursor, 1 + random.below(6)));
      if (cursor.stage == RecordTable::CopyCursor::Stage::kDone) break;
      for (auto meanwhile = random.below(6); meanwhile > 0; --meanwhile)
        take(table.change());
      if (testing::Test::HasFailure()) return;
    }
    const auto whole = restored.restored(table.engine.applied());
    ASSERT_TRUE(whole.has_value()) << "seed " << seed << ": " << whole.error().message;
    ASSERT_TRUE(everything(restored) == everything(table.copy)) << "seed " << seed;
    EXPECT_EQ(restored.records.counts(), table.copy.records.counts()) << "seed " << seed;
    EXPECT_EQ(restored.records.epoch(), table.copy.records.epoch());
    EXPECT_EQ(restored.records.floors(), table.copy.records.floors());
  }
  EXPECT_GT(records, 30'000U);
}

// Its end was written before, and its floor passed it; whatever is chosen there later is not ended.
TEST(TableSnapshot, WhatIsChosenAnewAboveAForgottenEndIsOpen) {
  const TransactionId id{{"bank-x7k2p9"}, {1}, {5}, std::nullopt};
  RecordTable table;
  ASSERT_TRUE(table.restore(EndedRecord{id, {}, false}, {1}).has_value());
  ASSERT_TRUE(table.restore(Floors{{{1}, {9}}, 0}, {2}).has_value());
  ASSERT_TRUE(table.restore(CommitRecord{id, {}, std::nullopt, {}, {}, ""}, {3}).has_value());
  ASSERT_TRUE(table.finish_restore().has_value());
  EXPECT_EQ(table.counts().open, 1U);
}

// Cleaning's copies of a decided pre-commit come behind its decision, whose first writing may still be there.
TEST(TableSnapshot, APreCommitThatIsCopiedBehindItsDecisionIsKept) {
  const TransactionId id{{"bank-x7k2p9"}, {1}, {5}, std::nullopt};
  RecordTable table;
  ASSERT_TRUE(table.restore(CommitRecord{id, {}, std::nullopt, {}, {}, ""}, {1}).has_value());
  ASSERT_TRUE(table.restore(PreCommitRecord{id, {}, {}}, {2}).has_value());
  const auto found = std::get<Found>(table.apply(Lookup{id}, {3}).answer);
  EXPECT_TRUE(found.decision && found.pre_commit);
}

TEST(TableSnapshot, OneResolutionThatIsAskedForTwiceIsOne) {
  const TransactionId id{{"bank-x7k2p9"}, {1}, {5}, std::nullopt};
  RecordTable table;
  std::ignore = table.apply(AcquireEpoch{{1}, {}, {}}, {1});
  std::ignore = table.apply(Choose{{1}, CommitRecord{id, {}, std::nullopt, {}, {}, ""}}, {2});
  const Resolve resolve{{1}, {id, {1}, {"pg"}, true, "lost", "ann", {}}};
  EXPECT_EQ(table.apply(resolve, {3}).append.size(), 1U);
  const auto again = table.apply(resolve, {4});
  EXPECT_TRUE(again.append.empty());
  EXPECT_EQ(again.depends_on.value, 3U) << "its answer speaks of the first one";
  EXPECT_EQ(std::get<Found>(table.apply(Lookup{id}, {4}).answer).decision->resolutions.size(), 1U);
}

}  // namespace
}  // namespace troth::coordinator::store
