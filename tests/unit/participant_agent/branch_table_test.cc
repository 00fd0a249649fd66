#include "participant_agent/branch_table.h"

#include <gtest/gtest.h>

#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

const ResourceName kPg{"pg"};
constexpr Instant kStart{std::chrono::seconds(1000)};

TableOptions options() {
  TableOptions options;
  options.cluster = {"bank-x7k2p9"};
  options.incarnation = {2};
  options.resources = {{kPg, DatabaseKind::kPostgres}};
  return options;
}

JournalState with_one_in_doubt() {
  JournalState state;
  state.apply(BranchBegun{work_for({transaction(5, 7), {1}}), {{71}, {1000}}});
  return state;
}

// A branch whose resource is away is not woken again and again for nothing.
TEST(BranchTable, ABranchWhoseResourceIsNotServedKeepsNobodyAwake) {
  BranchTable table(options(), with_one_in_doubt(), kStart);
  EXPECT_GT(table.wakes_at(), kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  EXPECT_EQ(table.wakes_at(), kStart) << "the inquiry is due";
  (void)table.step(ResourceStopped{kPg, error_with(ErrorCode::kUnavailable)}, kStart);
  EXPECT_GT(table.wakes_at(), kStart);
}

TEST(BranchTable, WhatIsDueIsDoneAndWakesNobodyTwice) {
  BranchTable table(options(), with_one_in_doubt(), kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  EXPECT_EQ(table.step(Ticked{}, kStart).size(), 1U) << "one inquiry";
  EXPECT_GT(table.wakes_at(), kStart);
  EXPECT_TRUE(table.step(Ticked{}, kStart).empty());
}

TEST(BranchTable, ShowsWhatIsOpen) {
  BranchTable table(options(), with_one_in_doubt(), kStart);
  const auto open = table.open_branches();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].waiting_for, "prepared");
  EXPECT_EQ(open[0].resource, kPg);
}

TEST(BranchTable, CountsWhatIsInDoubtAndHowLong) {
  auto two = options();
  two.resources.emplace(ResourceName{"idle"}, DatabaseKind::kPostgres);
  BranchTable table(two, with_one_in_doubt(), kStart);
  const auto loads = table.loads(kStart + std::chrono::seconds(9));
  EXPECT_EQ(loads.at(kPg).live, 1U);
  EXPECT_EQ(loads.at(kPg).in_doubt, 1U);
  EXPECT_EQ(loads.at(kPg).oldest_in_doubt, std::chrono::seconds(9));
  EXPECT_EQ(loads.at({"idle"}).live, 0U);
}

std::vector<TableEffect> too_old(BranchTable& table) {
  const LeaderStamp stamp{{"bank-x7k2p9"}, {{5}, {1}}, {{5}, {1}}, {}};
  return table.step(InquiryAnswered{stamp, {transaction(5, 7), {1}}, GroupDecision::kTooOld}, kStart);
}

// [T5] Also after a restart: the journal alone knows by then that the resource was set back.
TEST(BranchTable, BelowTheFloorABranchOfAResourceThatWasSetBackStays) {
  BranchTable sound(options(), with_one_in_doubt(), kStart);
  (void)sound.step(ResourceServing{kPg}, kStart);
  EXPECT_EQ(too_old(sound).size(), 2U) << "the epoch, and the rollback";
  EXPECT_EQ(sound.open_branches()[0].state, "rolling back");

  JournalState journal = with_one_in_doubt();
  journal.apply(SetBackAccepted{kPg});
  BranchTable set_back(options(), journal, kStart);
  (void)set_back.step(ResourceServing{kPg}, kStart);
  EXPECT_EQ(too_old(set_back).size(), 1U) << "the epoch";
  EXPECT_EQ(set_back.open_branches()[0].state, "too old");
}

// A transaction of one phase is never prepared; what bears such a name is somebody's mistake and wakes nobody.
TEST(BranchTable, APreparedBranchWithTheNameOfAOnePhaseOneKeepsNobodyAwake) {
  BranchTable table(options(), {}, kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  (void)table.step(PreparedFound{{transaction(5, 7, ResourceNumber{3}), {1}}, kPg}, kStart);
  (void)table.step(Ticked{}, kStart);
  EXPECT_GT(table.wakes_at(), kStart);
}

// No operator's word ends the process: the configuration does not name the branch's resource any more.
TEST(BranchTable, ABranchOfAnUnconfiguredResourceIsShownAndNotResolved) {
  auto without = options();
  without.resources = {{{"my"}, DatabaseKind::kMysql}};
  BranchTable table(without, with_one_in_doubt(), kStart);
  ASSERT_EQ(table.open_branches().size(), 1U);
  const auto effects =
      table.step(ResolveArrived{{transaction(5, 7), {1}}, kPg, {true, "why", "ann"}}, kStart);
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(std::get<RefuseCall>(effects[0]).error.code, ErrorCode::kUnknownResource);
}

// The redo of a branch that no session took waits for the disk all the same: the journal's bound, past which the agent
// ends, is kept by the table.
TEST(BranchTable, RedoThatWaitsForTheDiskIsBounded) {
  auto small = options();
  small.limits.live_bytes = 1 << 20;
  BranchTable table(small, {}, kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  const LeaderStamp stamp{{"bank-x7k2p9"}, {{5}, {1}}, {{5}, {1}}, {}};
  (void)table.step(LeaderSpoke{stamp, {}, {}}, kStart);
  std::uint64_t sequence = 0;
  std::size_t redo = 0;
  const auto refused = [&] {
    const BranchId id{transaction(5, ++sequence), {1}};
    Work work = work_for(id);
    work.request.reset();
    work.statements.at(0).sql += " -- " + std::string(10'000, 'x');
    const auto answer = table.step(PrepareArrived{stamp, work}, kStart);
    const bool over = answer.size() == 1 && std::holds_alternative<RefuseCall>(answer[0]);
    if (over) return std::get<RefuseCall>(answer[0]).error.code == ErrorCode::kOverloaded;
    redo += size_of(work);
    (void)table.step(BranchReported{id, WorkFinished{WorkFailed{error_with(ErrorCode::kOverloaded)}}},
                     kStart);
    return false;
  };
  while (sequence < 1'000 && !refused()) {
  }
  EXPECT_LE(redo, small.limits.live_bytes);
  EXPECT_GT(redo, small.limits.live_bytes / 2);
  EXPECT_TRUE(refused());
  (void)table.step(JournalDurable{{UINT64_MAX}}, kStart);
  EXPECT_FALSE(refused());
}

// [T12] Attack 71: ended and forgotten, and the watermark has not come so far: begun anew it could only fail, and the journal would
// say "rolled back" of a branch that has committed.
TEST(BranchTable, ARequestThatComesBehindItsEndIsRefused) {
  BranchTable table(options(), {}, kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  const LeaderStamp stamp{{"bank-x7k2p9"}, {{5}, {1}}, {{5}, {7}}, {}};
  (void)table.step(LeaderSpoke{stamp, {}, {}}, kStart);
  const BranchId id{transaction(5, 7), {1}};
  const Work work = work_for(id);
  (void)table.step(PrepareArrived{stamp, work}, kStart);
  (void)table.step(BranchReported{id, SessionBound{{{71}, {1000}}}}, kStart);
  (void)table.step(BranchReported{id, WorkFinished{WorkPrepared{}}}, kStart);
  (void)table.step(CommitArrived{stamp, id, kPg}, kStart);
  (void)table.step(BranchReported{id, FinishAttempted{FinishAttempted::Outcome::kDone, {}}}, kStart);
  (void)table.step(LeaderSpoke{stamp, {}, {transaction(5, 7)}}, kStart);
  ASSERT_EQ(table.remembered(), 0U);

  const auto late = table.step(PrepareArrived{stamp, work}, kStart);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(std::get<RefuseCall>(late[0]).error.code, ErrorCode::kStale);
  EXPECT_EQ(std::get<RefuseCall>(late[0]).error.effect, Effect::kUnknown);
  EXPECT_EQ(table.remembered(), 0U);
  // Its neighbour is none of that.
  Work next = work_for({transaction(5, 8), {1}});
  next.request.reset();
  EXPECT_GT(table.step(PrepareArrived{stamp, next}, kStart).size(), 1U);
}

// Memory is flat: whatever ended goes with the watermark, however many there were.
TEST(BranchTable, RemembersOnlyWhatTheWatermarkHasNotPassed) {
  BranchTable table(options(), {}, kStart);
  (void)table.step(ResourceServing{kPg}, kStart);
  Instant now = kStart;
  std::size_t most = 0;
  for (std::uint64_t sequence = 1; sequence <= 20'000; ++sequence) {
    const LeaderStamp stamp{{"bank-x7k2p9"}, {{5}, {1}}, {{5}, {sequence}}, {}};
    const BranchId id{transaction(5, sequence), {1}};
    if (sequence % 100 == 1) (void)table.step(LeaderSpoke{stamp, {}, {}}, now);
    Work work = work_for(id);
    work.request.reset();
    (void)table.step(PrepareArrived{stamp, work}, now);
    (void)table.step(BranchReported{id, SessionBound{{{71}, {1000}}}}, now);
    (void)table.step(BranchReported{id, WorkFinished{WorkFailed{error_with(ErrorCode::kStatementFailed)}}},
                     now);
    if (sequence % 100 == 0) {
      now += std::chrono::seconds(1);
      (void)table.step(Ticked{}, now);
      (void)table.step(JournalDurable{{UINT64_MAX}}, now);
    }
    most = std::max(most, table.remembered());
  }
  EXPECT_LE(most, 210U);
}

}  // namespace
}  // namespace troth::agent
