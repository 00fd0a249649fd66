#include "participant_agent/journal_replay.h"

#include <gtest/gtest.h>

#include "participant_agent/branch_table.h"
#include "participant_agent/server_identity.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

const ResourceName kPg{"pg"};

BranchBegun begun(std::uint64_t sequence) {
  return {work_for({transaction(5, sequence), {1}}), {{71}, {1000}}};
}

TEST(JournalReplay, KeepsWhatIsOpenAndForgetsWhatEnded) {
  JournalState state;
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence)
    state.apply(begun(sequence));
  const auto id = [](std::uint64_t sequence) { return BranchId{transaction(5, sequence), {1}}; };
  state.apply(Finished{id(1), kPg, BranchEnd::kRolledBack});
  state.apply(DecisionLearned{id(2), kPg});
  state.apply(DecisionLearned{id(3), kPg});
  state.apply(Finished{id(3), kPg, BranchEnd::kCommitted});
  state.apply(DecisionLearned{id(4), kPg});
  state.apply(Finished{id(4), kPg, BranchEnd::kCommitted});
  state.apply(EndedByLeader{{transaction(5, 4)}});
  EXPECT_FALSE(state.branches.contains(id(1))) << "presumed abort";
  EXPECT_TRUE(state.branches.at(id(2)).commit_learned);
  EXPECT_EQ(state.branches.at(id(3)).end, BranchEnd::kCommitted) << "[T6] the leader has not said ended";
  EXPECT_FALSE(state.branches.contains(id(4)));
  EXPECT_TRUE(state.branches.at(id(5)).begun) << "in doubt";
}

// A checkpoint repeats what stands before it; a crash between writing it and cutting leaves both.
TEST(JournalReplay, ApplyingEverythingTwiceChangesNothing) {
  const std::vector<JournalRecord> records{
      AgentStarted{{3}},
      EpochSeen{{{5}, {1}}},
      WatermarkRaised{{{5}, {3}}},
      Claiming{kPg, {{"agent-a"}, {3}, {33}, 7}},
      Owns{kPg, {{"agent-a"}, {3}, {33}, 7}},
      CounterRaised{kPg, 9, "u1:1-90"},
      FloorRaised{kPg, {{{5}, {2}}, 1000}},
      begun(7),
      begun(8),
      DecisionLearned{{transaction(5, 8), {1}}, kPg},
      Finished{{transaction(5, 8), {1}}, kPg, BranchEnd::kCommitted},
  };
  JournalState once;
  JournalState twice;
  for (const auto& record : records)
    once.apply(record);
  for (int i = 0; i < 2; ++i) {
    for (const auto& record : records)
      twice.apply(record);
  }
  EXPECT_EQ(once.epoch, twice.epoch);
  EXPECT_EQ(once.watermark, twice.watermark);
  EXPECT_EQ(once.ownership, twice.ownership);
  EXPECT_EQ(once.floors, twice.floors);
  EXPECT_EQ(once.branches.size(), twice.branches.size());
  EXPECT_EQ(once.branches.at({transaction(5, 8), {1}}).end, twice.branches.at({transaction(5, 8), {1}}).end);
  EXPECT_EQ(once.next_incarnation(), twice.next_incarnation());
  EXPECT_EQ(once.next_incarnation().value, 4U);
}

// [T5] Of what began before, a floor proves nothing any more; what begins after is as good as any.
// Attack 42: the restored server has older floors, which are raised again before a marker goes.
TEST(JournalReplay, AResourceThatWasSetBackHasNoFloorsBeforeTheyAreRaisedAgain) {
  JournalState state;
  state.apply(FloorRaised{kPg, {{{5}, {3}}, 1000}});
  state.apply(SetBackAccepted{kPg});
  EXPECT_FALSE(state.floors.contains(kPg));
  state.apply(FloorRaised{kPg, {{{5}, {2}}, 900}});
  EXPECT_EQ(state.floors[kPg].request_ms, 900U);
}

TEST(JournalReplay, AResourceThatWasSetBackMarksWhatBeganBefore) {
  JournalState state;
  state.apply(begun(7));
  auto elsewhere = begun(8);
  elsewhere.work.resource = {"my"};
  state.apply(elsewhere);
  state.apply(SetBackAccepted{kPg});
  state.apply(begun(9));
  const auto set_back = [&](std::uint64_t sequence) {
    return state.branches.at({transaction(5, sequence), {1}}).begun->set_back;
  };
  EXPECT_TRUE(set_back(7));
  EXPECT_FALSE(set_back(8)) << "another resource";
  EXPECT_FALSE(set_back(9));
  auto restated = begun(7);
  restated.set_back = true;
  state.apply(restated);
  EXPECT_TRUE(set_back(7)) << "as a checkpoint restates it";
}

// [T8] The stop outlives a restart, and ends with a newer reign.
TEST(JournalReplay, ADoubtedReignStaysDoubtedUntilANewerOneWasTaken) {
  JournalState state;
  state.apply(EpochSeen{{{5}, {1}}});
  state.apply(ReignDoubted{{{5}, {9}}});
  state.apply(EpochSeen{{{5}, {1}}});
  EXPECT_EQ(state.rival, (Epoch{{5}, {9}}));
  state.apply(EpochSeen{{{8}, {4}}});
  EXPECT_EQ(state.rival, std::nullopt);
}

// [T12] A start that owned nothing has an incarnation too.
TEST(JournalReplay, NoTwoStartsShareAnIncarnation) {
  JournalState state;
  EXPECT_EQ(state.next_incarnation().value, 1U);
  state.apply(AgentStarted{{1}});
  EXPECT_EQ(state.next_incarnation().value, 2U);
  state.apply(Claiming{kPg, {{"agent-a"}, {7}, {33}, 0}});
  EXPECT_EQ(state.next_incarnation().value, 8U);
}

// A checkpoint is enough for the next start.
TEST(JournalReplay, ACheckpointStandsForAllBeforeIt) {
  const Instant now{std::chrono::seconds(1)};
  TableOptions options;
  options.cluster = {"bank-x7k2p9"};
  options.incarnation = {2};
  options.resources = {{kPg, DatabaseKind::kPostgres}};
  JournalState before;
  before.apply(EpochSeen{{{5}, {1}}});
  before.apply(ReignDoubted{{{5}, {9}}});
  before.apply(begun(7));
  before.apply(begun(6));
  before.apply(SetBackAccepted{kPg});
  before.apply(begun(7));
  before.apply(begun(8));
  before.apply(DecisionLearned{{transaction(5, 8), {1}}, kPg});
  before.apply(Finished{{transaction(5, 9), {1}}, kPg, BranchEnd::kCommitted});
  const BranchTable first(options, before, now);
  JournalState after;
  for (const auto& record : first.checkpoint())
    after.apply(record);
  const BranchTable second(options, after, now);
  EXPECT_EQ(second.checkpoint(), first.checkpoint());
  EXPECT_EQ(second.epoch(), first.epoch());
  EXPECT_TRUE(second.stopped()) << "[T8]";
  EXPECT_TRUE(second.find({transaction(5, 6), {1}})->begun().set_back);
  EXPECT_FALSE(second.find({transaction(5, 7), {1}})->begun().set_back);
  EXPECT_EQ(second.find({transaction(5, 7), {1}})->session(), (SessionIdentity{{71}, {1000}}))
      << "a hostage is freed by it";
  ASSERT_NE(second.find({transaction(5, 8), {1}}), nullptr);
  EXPECT_TRUE(second.find({transaction(5, 8), {1}})->has_learned_commit());
  EXPECT_EQ(second.find({transaction(5, 9), {1}})->end(), BranchEnd::kCommitted);
}

TEST(ServerIdentity, WithoutMemoryAnyWritableServerIsTheSame) {
  ServerRow seen;
  seen.server = "s1";
  EXPECT_EQ(compare_server({}, seen).kind, ServerVerdict::Kind::kSame);
  seen.read_only = true;
  EXPECT_EQ(compare_server({}, seen).kind, ServerVerdict::Kind::kReadOnly);
}

// Attack 45: a claim may come to its row when a later start has journalled its own.
TEST(JournalReplay, EachClaimSinceTheLastOwnsIsKnown) {
  const auto row = [](std::uint64_t start) { return OwnerRow{{"agent-a"}, {start}, {start * 11}, 0}; };
  JournalState state;
  state.apply(Claiming{kPg, row(3)});
  state.apply(Owns{kPg, row(3)});
  state.apply(Claiming{kPg, row(4)});
  state.apply(Claiming{kPg, row(5)});
  const auto& memory = state.ownership.at(kPg);
  EXPECT_TRUE(memory.knows(row(3)) && memory.knows(row(4)) && memory.knows(row(5)));
  EXPECT_FALSE(memory.knows(row(2)));
  state.apply(Owns{kPg, row(5)});
  EXPECT_FALSE(memory.knows(row(3)) || memory.knows(row(4)));
  for (std::uint64_t start = 6; start < 40; ++start)
    state.apply(Claiming{kPg, row(start)});
  EXPECT_EQ(memory.claims.size(), OwnershipMemory::kMaxClaims);
  EXPECT_TRUE(memory.knows(row(39)) && memory.knows(row(5)));
}

}  // namespace
}  // namespace troth::agent
