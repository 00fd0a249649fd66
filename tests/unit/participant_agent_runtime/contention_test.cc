// Branches that meet each other, a limit, or a statement that does not belong into a branch.
#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "participant_agent/marker_judgement.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

using ContentionTest = DatabaseTest;
TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(ContentionTest);

TEST_P(ContentionTest, LockHeldByAPreparedBranchRefusesTheNextOneInTime) {
  const auto first = resource().connect();
  const auto second = resource().connect();
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(first->run_branch(held)));

  BranchWork waiting = resource().transfer(1, 7);
  waiting.start.lock_timeout = 300ms;
  const Error error = refusal_of(second->run_branch(waiting));
  EXPECT_EQ(error.code, ErrorCode::kConflict);
  EXPECT_TRUE(error.retryable);
  EXPECT_EQ(error.effect, Effect::kNone);
  ASSERT_TRUE(first->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

TEST_P(ContentionTest, DeadlockEndsOneOfTwoBranchesAndTheOtherPrepares) {
  const auto first = resource().connect();
  const auto second = resource().connect();
  const auto both = [&](int one, int other) {
    BranchWork work = resource().transfer(one, 1);
    // Long enough that each holds its first row before it wants the other's.
    work.statements.push_back(
        resource().statement(resource().is_postgres() ? "SELECT pg_sleep(0.3)" : "SELECT SLEEP(0.3)"));
    work.statements.push_back(resource().transfer(other, 1).statements[0]);
    return work;
  };
  const BranchWork one = both(1, 2);
  const BranchWork two = both(2, 1);
  WorkResult other;
  std::thread thread([&] {
    other = second->run_branch(two);
  });
  const WorkResult mine = first->run_branch(one);
  thread.join();

  const bool mine_prepared = std::holds_alternative<Prepared>(mine.outcome);
  const bool other_prepared = std::holds_alternative<Prepared>(other.outcome);
  EXPECT_NE(mine_prepared, other_prepared) << describe(mine) << "; " << describe(other);
  EXPECT_EQ(refusal_of(mine_prepared ? other : mine).code, ErrorCode::kConflict);
  ASSERT_TRUE((mine_prepared ? first : second)
                  ->finish_prepared((mine_prepared ? one : two).start.id, PreparedEnding::kCommit)
                  .has_value());
  EXPECT_EQ(resource().balance(1), "101");
  EXPECT_EQ(resource().balance(2), "101");
}

// Attack 10: what has a marker is never run again, whatever came late or twice.
TEST_P(ContentionTest, SecondRunOfACommittedBranchMeetsItsMarker) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());

  const WorkResult again = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(again));
  const auto& rows = std::get<MarkerTaken>(again.outcome).rows;
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].state, MarkerState::kCommitted);
  EXPECT_EQ(resource().balance(1), "105");
}

// Attacks 6 and 48: a retry of a committed request finds the row that its first attempt left.
TEST_P(ContentionTest, SameRequestInAnotherTransactionMeetsItsMarker) {
  const auto session = resource().connect();
  const RequestKey key{.client = "ser'vice\\; --",
                       .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  BranchWork first = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  first.start.request = key;
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(first)));

  BranchWork retry = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  retry.start.request = key;
  const WorkResult again = session->run_branch(retry);
  ASSERT_TRUE(ended_as<MarkerTaken>(again));
  const auto& rows = std::get<MarkerTaken>(again.outcome).rows;
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].transaction, first.start.id.transaction.text());
  EXPECT_EQ(rows[0].request, key);
  EXPECT_EQ(resource().balance(1), "105");
}

// The same request as a branch of another number, by other work: in one phase it left no record, and its row is all that
// keeps it from a second commit. The reverse too.
TEST_P(ContentionTest, SameRequestUnderAnotherBranchNumberMeetsItsMarker) {
  const auto session = resource().connect();
  for (const std::uint32_t first_number : {1U, 2U}) {
    const RequestKey key{.client = fmt::format("shop {}", first_number),
                         .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
    BranchWork first = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
    first.start.request = key;
    first.start.id.branch = {first_number};
    ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(first)));

    BranchWork other = resource().transfer(1, 5);
    other.start.request = key;
    other.start.id.branch = {3 - first_number};
    other.start.digest.bytes[0] = 1;
    const WorkResult met = session->run_branch(other);
    ASSERT_TRUE(ended_as<MarkerTaken>(met));
    const auto& rows = std::get<MarkerTaken>(met.outcome).rows;
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].transaction, first.start.id.transaction.text());
    EXPECT_EQ(rows[0].branch, first.start.id.branch);
    EXPECT_TRUE(
        std::holds_alternative<RequestReused>(explain(other.start.id, key, other.start.digest, rows)));
  }
  EXPECT_EQ(resource().balance(1), "110");
}

// [T9] A request's barrier keeps its branch out whatever number that has, and meets its marker.
TEST_P(ContentionTest, RequestBarrierIsForEveryBranchNumber) {
  const auto session = resource().connect();
  const RequestKey barred{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  ASSERT_TRUE(session->insert_request_barrier(barred, {1}, 200ms).has_value());
  BranchWork late = resource().transfer(1, 5);
  late.start.request = barred;
  late.start.id.branch = {2};
  const WorkResult met = session->run_branch(late);
  ASSERT_TRUE(ended_as<MarkerTaken>(met));
  EXPECT_EQ(std::get<MarkerTaken>(met.outcome).rows.at(0).state, MarkerState::kBarred);

  const RequestKey done{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8058")};
  BranchWork second = resource().transfer(1, 5);
  second.start.request = done;
  second.start.id.branch = {2};
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(second)));
  const auto control = resource().connect();
  const Answer<void> beside = control->insert_request_barrier(done, {1}, 200ms);
  ASSERT_FALSE(beside.has_value());
  EXPECT_EQ(beside.error().meaning, Meaning::kLockTimeout) << "undecided beside a prepared one";
  ASSERT_TRUE(control->clean_up());
  ASSERT_TRUE(session->finish_prepared(second.start.id, PreparedEnding::kCommit).has_value());
  const Answer<void> behind = control->insert_request_barrier(done, {1}, 200ms);
  ASSERT_FALSE(behind.has_value());
  EXPECT_EQ(behind.error().meaning, Meaning::kDuplicateKey);
  const auto rows = control->read_markers(BranchId{}, done);
  ASSERT_TRUE(rows.has_value()) << rows.error().error.message;
  EXPECT_EQ(judge_request(done, *rows).committed_as, second.start.id.transaction.text());
}

// Attack 49: two branches of one request on one server are in two resources, each with tables of its own.
TEST_P(ContentionTest, TwoBranchesOfOneRequestPrepareBesideEachOther) {
  const auto beside = TestResource::create(GetParam());
  const auto one = resource().connect();
  const auto two = beside->connect();
  const RequestKey key{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  BranchWork first = resource().transfer(1, -5);
  first.start.request = key;
  BranchWork second = beside->transfer(2, 5);
  second.start.request = key;
  second.start.id = {.transaction = first.start.id.transaction, .branch = {2}};
  ASSERT_TRUE(ended_as<Prepared>(one->run_branch(first)));
  ASSERT_TRUE(ended_as<Prepared>(two->run_branch(second)));
  EXPECT_TRUE(one->finish_prepared(first.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_TRUE(two->finish_prepared(second.start.id, PreparedEnding::kCommit).has_value());
}

// [T9] Attacks 4 and 39: beside a prepared marker a barrier waits, which means undecided; no SELECT would
// tell.
TEST_P(ContentionTest, BarrierBesideAPreparedMarkerIsUndecided) {
  const auto session = resource().connect();
  const auto control = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));

  const Answer<void> barrier = control->insert_barrier(work.start.id, work.start.epoch, 200ms);
  ASSERT_FALSE(barrier.has_value());
  EXPECT_EQ(barrier.error().meaning, Meaning::kLockTimeout);
  const auto rows = control->read_markers(work.start.id, {});
  ASSERT_TRUE(rows.has_value()) << rows.error().error.message;
  EXPECT_TRUE(rows->empty());
  ASSERT_TRUE(control->clean_up());

  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  const Answer<void> late = control->insert_barrier(work.start.id, work.start.epoch, 200ms);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().meaning, Meaning::kDuplicateKey);
  EXPECT_EQ(resource().marker(work.start.id), "committed");
}

// [T7] and attack 2: a prepare that arrives after the rollback finds the barrier.
TEST_P(ContentionTest, LateBranchMeetsTheBarrier) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(session->insert_barrier(work.start.id, work.start.epoch, 200ms).has_value());

  const WorkResult late = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(late));
  EXPECT_EQ(std::get<MarkerTaken>(late.outcome).rows.at(0).state, MarkerState::kBarred);
  EXPECT_EQ(resource().balance(1), "100");
}

// Attack 40: a request that was barred never commits, under whatever transaction it comes.
TEST_P(ContentionTest, BarredRequestMeetsItsBarrier) {
  const auto session = resource().connect();
  const RequestKey key{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  ASSERT_TRUE(session->insert_request_barrier(key, {1}, 200ms).has_value());
  BranchWork work = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  work.start.request = key;
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(result));
  EXPECT_EQ(std::get<MarkerTaken>(result.outcome).rows.at(0).state, MarkerState::kBarred);
}

// Attack 50: a marker that waited for another goes on without the gap lock that the wait left on it. The number of its
// branch makes no difference.
TEST_P(ContentionTest, MarkerThatWaitedDoesNotStopOthers) {
  const RequestKey key{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  const RequestKey next{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8058")};
  const auto holder = resource().connect();
  const auto waiter = resource().connect();
  const auto third = resource().connect();
  BranchWork held = resource().transfer(1, 5);
  held.start.request = key;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));

  BranchWork waits = resource().transfer(2, 5);
  waits.start.request = key;
  waits.start.id.branch = {2};
  WorkResult waited;
  std::thread thread([&] {
    waited = waiter->run_branch(waits);
  });
  resource().wait_until_blocked(waiter->session_identity());
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
  thread.join();
  ASSERT_TRUE(ended_as<Prepared>(waited));

  BranchWork other = resource().transfer(3, 5);
  other.start.request = next;
  EXPECT_TRUE(ended_as<Prepared>(third->run_branch(other)));
  EXPECT_TRUE(waiter->finish_prepared(waits.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_TRUE(third->finish_prepared(other.start.id, PreparedEnding::kCommit).has_value());
}

// Attack 30: a branch of an agent that lost the resource to another is refused by the row it reads.
TEST_P(ContentionTest, BranchOfAFormerOwnerIsRefused) {
  const auto session = resource().connect();
  OwnerRow next = resource().owner();
  next.incarnation.value += 1;
  next.nonce.value = 8;
  ASSERT_TRUE(session->claim_owner(resource().owner(), next).value_or(false));
  EXPECT_EQ(refusal_of(session->run_branch(resource().transfer(1, 5))).code, ErrorCode::kNotOwner);
  EXPECT_EQ(session->claim_owner(resource().owner(), next).value_or(true), false);
  EXPECT_EQ(session->raise_counter(resource().owner(), 1).value_or(true), false);
  EXPECT_EQ(session->raise_counter(next, 1).value_or(false), true);
  EXPECT_EQ(resource().balance(1), "100");
}

// Attack 45: the row is read without a lock, so that a prepared branch never stops the next owner.
TEST_P(ContentionTest, PreparedBranchDoesNotStopTheNextOwner) {
  const auto session = resource().connect();
  const auto control = resource().connect();
  for (const Isolation isolation :
       {Isolation::kReadCommitted, Isolation::kRepeatableRead, Isolation::kSerializable}) {
    BranchWork work = resource().transfer(1, 5);
    work.start.isolation = isolation;
    ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
    EXPECT_EQ(
        control->raise_counter(resource().owner(), static_cast<std::uint64_t>(isolation)).value_or(false),
        true);
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  }
}

// Attack 42: raised floors are obeyed by the branch's own read, behind its marker.
TEST_P(ContentionTest, BranchBelowTheFloorIsRefused) {
  const auto session = resource().connect();
  const BranchWork old = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(old)));
  const BranchWork late = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  const BranchWork young = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  const Floors floors{.position = position_of(young.start.id.transaction), .request_ms = 0};
  ASSERT_TRUE(session->raise_floors(young.start.id.transaction.cluster, floors).has_value());
  const Answer<std::uint64_t> gone = session->delete_markers(young.start.id.transaction.cluster, floors, 100);
  ASSERT_TRUE(gone.has_value()) << gone.error().error.message;
  EXPECT_EQ(*gone, 1U);
  EXPECT_EQ(resource().marker(old.start.id), "");

  EXPECT_EQ(refusal_of(session->run_branch(late)).code, ErrorCode::kTooOld);
  EXPECT_EQ(refusal_of(session->run_branch(old)).code, ErrorCode::kTooOld);
  EXPECT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(young)));
}

TEST_P(ContentionTest, ResultBeyondTheLimitRefusesTheBranch) {
  const auto session = resource().connect();
  BranchWork work =
      resource().work({resource().statement("SELECT id FROM accounts")}, BranchEnding::kReadOnly);
  work.limits.rows_per_statement = 2;
  const Error rows = refusal_of(session->run_branch(work));
  EXPECT_EQ(rows.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(rows.message.find("more than 2 rows"), std::string::npos) << rows.message;

  const auto fresh = resource().connect();
  work.limits = {.rows_per_statement = 10, .bytes_per_branch = 40};
  EXPECT_NE(refusal_of(fresh->run_branch(work)).message.find("larger than 40 bytes"), std::string::npos);
}

using PostgresContentionTest = DatabaseTest;
TROTH_FOR_POSTGRES(PostgresContentionTest);

// Also where the session does not know the statement yet, and only wants to prepare it.
TEST_P(PostgresContentionTest, TableThatIsBeingAlteredRefusesTheBranchInTime) {
  const auto holder = resource().connect();
  BranchWork alters = resource().work({resource().statement("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")});
  alters.one_trip = false;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(alters)));
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.start.lock_timeout = 200ms;
  const Error error = refusal_of(session->run_branch(work));
  EXPECT_EQ(error.code, ErrorCode::kConflict) << error.message;
  EXPECT_EQ(error.effect, Effect::kNone);
  ASSERT_TRUE(session->clean_up());
  ASSERT_TRUE(holder->finish_prepared(alters.start.id, PreparedEnding::kRollBack).has_value());
  // What was set for it is gone: the next branch waits as long as its own limits say.
  const WorkResult seen = session->run_branch(resource().work(
      {resource().statement("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")},
      BranchEnding::kReadOnly));
  ASSERT_TRUE(ended_as<ReadOnlyDone>(seen));
  EXPECT_EQ(seen.results.at(0).rows.at(0).at(0), Value{Text{"0"}});
}

using InnodbContentionTest = DatabaseTest;
TROTH_FOR_INNODB(InnodbContentionTest);

// [T7] The guards in front of it keep a branch from being begun twice. Should one fail: XA START is refused, and what is
// prepared under the name stays prepared.
TEST_P(InnodbContentionTest, WorkOfAPreparedBranchLeavesItPrepared) {
  const auto holder = resource().connect();
  const auto second = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  // The second time the session knows the statement, and the branch may go in one trip.
  const BranchWork other = resource().transfer(2, 5);
  ASSERT_TRUE(ended_as<Prepared>(second->run_branch(other)));
  ASSERT_TRUE(second->finish_prepared(other.start.id, PreparedEnding::kRollBack).has_value());
  ASSERT_TRUE(second->clean_up());
  const auto fresh = resource().connect();
  for (DatabaseConnection* session : {second.get(), fresh.get()}) {
    const Error error = refusal_of(session->run_branch(work));
    EXPECT_EQ(error.code, ErrorCode::kBusy) << error.message;
    EXPECT_EQ(error.effect, Effect::kNone);
    EXPECT_EQ(session->condition(), ConnectionCondition::kDoubtful);
  }
  ASSERT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

}  // namespace
}  // namespace troth::agent
