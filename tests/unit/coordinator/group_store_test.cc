// Replicas with logs on the system's disk, in one process: the network is a queue, the clock is the test's.
#include "coordinator/decision_store/runtime/group_store.h"

#include <gtest/gtest.h>

#include "coordinator/decision_store/request_size.h"
#include "tests/unit/coordinator/group_teller.h"
#include "tests/unit/coordinator/store_conformance.h"

namespace troth::coordinator::store {
namespace {

using consensus::ReplicaId;

const StoreKind kOne{"OneReplica", [] { return std::make_unique<GroupOnDisks>(1); }};
const StoreKind kThree{"ThreeReplicas", [] { return std::make_unique<GroupOnDisks>(3); }};
// Its third replica stops, comes back, and comes back with an empty disk, over and over.
class ThirdComesAndGoes : public GroupOnDisks {
 public:
  ThirdComesAndGoes() : GroupOnDisks(3, always_and_forgetful) {}

  Ticket ask(Request request) override {
    if (++asked_ % 4 == 0) change();
    if (leader().value == 0) wait_for_leader();
    return GroupOnDisks::ask(std::move(request));
  }
  void crash(std::size_t surviving) override {
    GroupOnDisks::crash(surviving);
    up_ = true;
  }

 private:
  void change() {
    constexpr ReplicaId kThird{3};
    up_ = !up_;
    if (!up_) {
      if (leader() == kThird) return void(up_ = true);
      return stop(kThird);
    }
    if (++starts_ % 2 == 0) wipe(kThird);
    start(kThird);
  }
  std::uint64_t asked_ = 0;
  std::uint64_t starts_ = 0;
  bool up_ = true;
};

const StoreKind kOneCut{"OneReplicaWithSnapshots", [] { return std::make_unique<GroupOnDisks>(1, always); }};
const StoreKind kThreeCut{"ThreeReplicasWithSnapshots",
                          [] { return std::make_unique<GroupOnDisks>(3, always); }};
const StoreKind kComesAndGoes{"ThreeReplicasOneOfThemWiped",
                              [] { return std::make_unique<ThirdComesAndGoes>(); }};
INSTANTIATE_TEST_SUITE_P(GroupStore, StoreConformance,
                         testing::Values(kOne, kThree, kOneCut, kThreeCut, kComesAndGoes), name_of_kind);
// Disks that lose what is under way are the simulated ones of group_engine_test.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreThatLosesWrites);

// The leader goes; another one has everything that was answered, and fences what the first one began.
TEST(GroupStore, LosesAReplicaAndNoDecision) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  std::vector<Ticket> tickets;
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence)
    tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, sequence)}));
  group.settle();
  for (const auto ticket : tickets)
    EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(ticket)));

  const auto first = group.leader();
  group.stop(first);
  ASSERT_TRUE(group.run_until([&] { return group.leader().value != 0; }));
  const auto next_ticket = group.ask(AcquireEpoch{{2}, {}, {}});
  group.settle();
  const auto next = std::get<EpochAcquired>(*group.answer(next_ticket));
  EXPECT_GT(next.epoch.number, epoch.number);
  EXPECT_EQ(next.counts.open, 200U);
  const auto late = group.ask(Choose{epoch.number, commit(epoch, 201)});
  group.settle();
  EXPECT_TRUE(std::holds_alternative<Fenced>(*group.answer(late)));

  // What comes back catches up.
  group.start(first);
  EXPECT_TRUE(group.run_until([&] { return group.store(first).record_counts().open == 200; }));
}

TEST(GroupStore, LeadIsHandedOverWithoutAnUnknownAnswer) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  const auto first = group.leader();
  std::vector<Ticket> tickets;
  for (std::uint64_t sequence = 1; sequence <= 50; ++sequence)
    tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, sequence)}));
  // Where the disk's thread does not get on for so long, the leader goes on, and is asked again.
  const ReplicaId successor{first.value % 3 + 1};
  bool handed_over = false;
  for (int attempt = 0; attempt < 10 && !handed_over; ++attempt) {
    group.store(first).transfer_to(successor);
    handed_over = group.run_until([&] { return group.leader() == successor; });
  }
  ASSERT_TRUE(handed_over);
  group.settle();
  for (const auto ticket : tickets)
    EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(ticket)));
}

// In the log it would stop every replica, at every start.
TEST(GroupStore, RequestThatNobodyCouldReadIsRefusedAndStopsNobody) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  auto nameless = commit(epoch, 2);
  nameless.transaction = {};
  const auto before = group.ask(Choose{epoch.number, commit(epoch, 1)});
  const auto bad = group.ask(Choose{epoch.number, nameless});
  const auto behind = group.ask(Choose{epoch.number, commit(epoch, 3)});
  group.settle();
  EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(before)));
  EXPECT_EQ(std::get<Refused>(*group.answer(bad)).reason.code, ErrorCode::kCorrupt);
  EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(behind)));
  group.crash(0);
  const auto listed = group.ask(List{});
  group.settle();
  EXPECT_EQ(std::get<Listed>(*group.answer(listed)).decisions.size(), 2U);
}

// [S6] Told before it is proposed: in the log it would stop every replica.
TEST(GroupStore, RequestThatIsTooLargeForAnEntryIsRefusedAndManyThatFitAreSeveralEntries) {
  GroupOnDisks group(3, always);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  auto large = commit(epoch, 1);
  large.label = std::string(txlog::kMinSegmentBytes, 'x');
  const auto refused = group.ask(Choose{epoch.number, large});
  // Each fits, and not two of them together.
  std::vector<Ticket> tickets;
  for (std::uint64_t sequence = 2; sequence <= 30; ++sequence) {
    auto fits = commit(epoch, sequence);
    fits.label = std::string(8'000, 'y');
    tickets.push_back(group.ask(Choose{epoch.number, fits}));
  }
  group.settle();
  const auto reason = std::get<Refused>(*group.answer(refused)).reason;
  EXPECT_EQ(reason.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reason.effect, troth::Effect::kNone);
  for (const auto ticket : tickets)
    EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(ticket)));
}

// A follower with smaller segments than its leader's would stop at the first entry that it cannot write, and at every start.
TEST(GroupStore, SegmentsThatCannotTakeTheLargestEntryAreRefused) {
  const auto group = GroupOnDisks::asleep(3, [](GroupStoreOptions& options) {
    options.batch = {.request_bytes = 100'000};
    options.batch.bytes = 50'000;
    options.segment_bytes = least_segment_bytes(options.batch);
    if (options.self == ReplicaId{3}) options.segment_bytes -= txlog::kBlockBytes;
  });
  ASSERT_TRUE(group->try_start({1}).has_value());
  ASSERT_TRUE(group->try_start({2}).has_value());
  const auto refused = group->try_start({3});
  ASSERT_FALSE(refused.has_value()) << "it would stop for ever";
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().effect, troth::Effect::kNone);
  EXPECT_NE(refused.error().message.find("segment_bytes"), std::string::npos) << refused.error().message;

  // And the smallest that are taken do take it.
  group->wait_for_leader();
  const auto epoch_ticket = group->ask(AcquireEpoch{{1}, {}, {}});
  group->settle();
  const auto epoch = std::get<EpochAcquired>(*group->answer(epoch_ticket)).epoch;
  auto largest = commit(epoch, 1);
  largest.label = std::string(100'000 - most_bytes(Choose{epoch.number, largest}), 'x');
  while (most_bytes(Choose{epoch.number, largest}) > 100'000)
    largest.label.pop_back();
  const auto written = group->ask(Choose{epoch.number, largest});
  group->settle();
  EXPECT_TRUE(std::holds_alternative<Won>(*group->answer(written)));
}

TEST(GroupStore, ManyRequestsOfATurnShareSyncs) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  const auto before = group.store(group.leader()).counters().syncs;
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::vector<Ticket> tickets;
    for (std::uint64_t each = 1; each <= 64; ++each)
      tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, round * 64 + each)}));
    group.settle();
  }
  EXPECT_LT(group.store(group.leader()).counters().syncs - before, 1280U / 10);
}

// Attack 26, of the leader itself: what it accepted it never told anybody as an answer, and counted all the same.
TEST(GroupStoreSetBack, ALeaderWhoseDiskWasWipedVotesNoMore) {
  GroupOnDisks group(3);
  const auto leader = group.leader();
  group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto soon = group.now() + std::chrono::milliseconds(100);
  ASSERT_TRUE(group.run_until([&] { return group.now() >= soon; }));
  group.stop(leader);
  group.wipe(leader);
  for (int start = 0; start < 4; ++start) {
    group.start(leader);
    ASSERT_TRUE(group.run_until([&] {
      return group.store(leader).log().standing() == consensus::Standing::State::kSetBack;
    })) << "start "
        << start;
    const auto later = group.now() + std::chrono::milliseconds(100);
    ASSERT_TRUE(group.run_until([&] { return group.now() >= later; }));
    group.stop(leader);
  }
}

}  // namespace
}  // namespace troth::coordinator::store
