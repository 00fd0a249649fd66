// The floors that a branch reads behind its marker, and the rows that go below them.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

const RequestKey kRequest{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};

class FloorsOfAResource : public BehaviourTest {
 protected:
  // A branch whose marker waits for another's, while floors are raised above it and the other goes: how it ends.
  std::string ends_above_a_raise(Isolation isolation) {
    const Connection holder = resource().connect();
    const Connection waiter = resource().connect({.patience = 60s, .had_to_wait = 60s});
    const Connection control = resource().connect();
    BranchWork held = resource().add(1, 5);
    held.start.request = kRequest;
    EXPECT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
    BranchWork waits = resource().add(2, 5);
    waits.start.request = kRequest;
    waits.start.isolation = isolation;
    auto waiting = resource().start(*waiter, RunBranch{waits});
    resource().wait_until_blocked(waiter->session_identity());
    const BranchWork young = resource().add(3, 5);
    const Floors floors{.position = position_of(young.start.id.transaction), .request_ms = 0};
    EXPECT_TRUE(control->raise_floors(young.start.id.transaction.cluster, floors).has_value());
    EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
    const auto result = Resource::get<WorkResult>(waiting);
    if (std::holds_alternative<Refused>(result.outcome)) return std::string(name_of(code_of(result)));
    EXPECT_TRUE(waiter->finish_prepared(waits.start.id, PreparedEnding::kRollBack).has_value());
    return describe(result);
  }
};
TROTH_BEHAVES(FloorsOfAResource);

TEST_P(FloorsOfAResource, BranchBelowThemIsRefused) {
  const Connection session = resource().connect();
  const BranchWork old = resource().add(1, 5, BranchEnding::kCommitOnePhase);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(old)));
  const BranchWork late = resource().add(1, 5, BranchEnding::kCommitOnePhase);
  const BranchWork young = resource().add(1, 5, BranchEnding::kCommitOnePhase);
  const ClusterId cluster = young.start.id.transaction.cluster;
  const Floors floors{.position = position_of(young.start.id.transaction), .request_ms = 0};
  ASSERT_TRUE(session->raise_floors(cluster, floors).has_value());
  ASSERT_TRUE(session->raise_floors(cluster, {.position = {{1}, {1}}}).has_value()) << "never lowered";
  EXPECT_EQ(session->delete_markers(cluster, floors, 100).value_or(0), 1U);
  EXPECT_EQ(resource().marker(old.start.id), "");
  EXPECT_EQ(code_of(session->run_branch(late)), ErrorCode::kTooOld);
  EXPECT_TRUE(ended_as<CommittedOnePhase>(resource().connect()->run_branch(young)));
  EXPECT_EQ(resource().balance(1), "110");
}

// Up to `limit` rows; a row whose request is younger than its floor stays.
TEST_P(FloorsOfAResource, MarkersGoBelowBothOfThem) {
  const Connection session = resource().connect();
  std::vector<BranchWork> works;
  for (int i = 0; i < 4; ++i) {
    works.push_back(resource().add(1, 1, BranchEnding::kCommitOnePhase));
    if (i == 1) works.back().start.request = kRequest;
    ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(works.back())));
  }
  const ClusterId cluster = works[0].start.id.transaction.cluster;
  const Floors floors{.position = position_of(works[3].start.id.transaction),
                      .request_ms = kRequest.id.unix_ms()};
  EXPECT_EQ(session->delete_markers(cluster, floors, 1).value_or(0), 1U);
  EXPECT_EQ(resource().marker(works[0].start.id), "");
  EXPECT_EQ(session->delete_markers(cluster, floors, 100).value_or(0), 1U);
  EXPECT_EQ(resource().marker(works[1].start.id), "committed") << "its request is not below its floor";
  EXPECT_EQ(resource().marker(works[2].start.id), "");
  EXPECT_EQ(resource().marker(works[3].start.id), "committed");
  const Floors above{.position = floors.position, .request_ms = kRequest.id.unix_ms() + 1};
  EXPECT_EQ(session->delete_markers(cluster, above, 100).value_or(0), 1U);
}

// Attack 42: under READ COMMITTED the branch reads the raised floors behind its wait. Postgres under REPEATABLE READ reads
// those of before it; InnoDB takes its snapshot at the first plain read, which is this one.
TEST_P(FloorsOfAResource, BranchThatWaitedForItsMarkerReadsThemBehind) {
  EXPECT_EQ(ends_above_a_raise(Isolation::kReadCommitted), "too_old");
}

TEST_P(FloorsOfAResource, BranchOfAnOldSnapshotDoesNotReadThem) {
  EXPECT_EQ(ends_above_a_raise(Isolation::kRepeatableRead),
            resource().is_postgres() ? "prepared" : "too_old");
}

// A branch in doubt stops no raise, but where it is SERIALIZABLE on InnoDB: there every read locks what it reads, and a
// branch that has written keeps those locks, too, until it ends. The owner row is read before the branch begins for that
// reason (attack 45); the floors cannot be, for they are read behind the marker (attack 42).
TEST_P(FloorsOfAResource, BranchInDoubtStopsARaiseOnlyWhereItsReadsLock) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  const ClusterId cluster = resource().add(1, 5).start.id.transaction.cluster;
  ASSERT_TRUE(control->raise_floors(cluster, {.position = {{1}, {1}}}).has_value());
  std::uint64_t floor = 1;
  for (const Isolation isolation :
       {Isolation::kReadCommitted, Isolation::kRepeatableRead, Isolation::kSerializable}) {
    BranchWork work = resource().add(1, 5);
    work.start.isolation = isolation;
    ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
    const Connection raiser = resource().connect();
    const bool locks = !resource().is_postgres() && isolation == Isolation::kSerializable;
    EXPECT_EQ(outcome_of(raiser->raise_floors(cluster, {.position = {{1}, {++floor}}})),
              locks ? "lock timeout" : "done");
    ASSERT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    EXPECT_EQ(outcome_of(raiser->raise_floors(cluster, {.position = {{1}, {++floor}}})), "done");
  }
}

// Where the floors were never raised there is no row to lock: it is the gap.
TEST_P(FloorsOfAResource, BranchInDoubtStopsTheFirstRaiseOnlyWhereItsReadsLock) {
  const Connection holder = resource().connect();
  const Connection raiser = resource().connect();
  BranchWork work = resource().add(1, 5);
  work.start.isolation = Isolation::kSerializable;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  const ClusterId cluster = work.start.id.transaction.cluster;
  EXPECT_EQ(outcome_of(raiser->raise_floors(cluster, {.position = {{1}, {1}}})),
            resource().is_postgres() ? "done" : "lock timeout");
  EXPECT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(outcome_of(raiser->raise_floors(cluster, {.position = {{1}, {1}}})), "done");
}

}  // namespace
}  // namespace troth::sim
