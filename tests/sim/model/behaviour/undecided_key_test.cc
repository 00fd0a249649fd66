// Unique keys that a branch in doubt holds: an insert waits for it, and learns what became of it [T9].
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

const RequestKey kRequest{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};

class UndecidedKey : public BehaviourTest {
 protected:
  // A barrier at the key of a prepared branch, while that ends so; what becomes of the barrier.
  std::string barrier_beside(PreparedEnding ending) {
    const Connection holder = resource().connect();
    const Connection control = resource().connect({.patience = 60s});
    const BranchWork work = resource().add(1, 5);
    EXPECT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
    auto waiting = resource().start(*control, InsertBarrier{work.start.id, work.start.epoch, 60s});
    resource().wait_until_blocked(control->session_identity());
    EXPECT_TRUE(holder->finish_prepared(work.start.id, ending).has_value());
    const std::string outcome = outcome_of(Resource::get<Answer<void>>(waiting));
    return outcome + ", " + resource().marker(work.start.id);
  }
};
TROTH_BEHAVES(UndecidedKey);

TEST_P(UndecidedKey, BarrierWaitsInVainWhileNobodyDecides) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  EXPECT_EQ(outcome_of(control->insert_barrier(work.start.id, work.start.epoch, 200ms)), "lock timeout");
  // No kind of plain read tells: the row is not seen.
  const auto rows = control->read_markers(work.start.id, std::nullopt);
  ASSERT_TRUE(rows.has_value()) << rows.error().error.message;
  EXPECT_TRUE(rows->empty());
  EXPECT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(outcome_of(control->insert_barrier(work.start.id, work.start.epoch, 200ms)), "duplicate key");
}

TEST_P(UndecidedKey, BarrierThatWaitedLearnsWhatBecameOfTheBranch) {
  EXPECT_EQ(barrier_beside(PreparedEnding::kCommit), "duplicate key, committed");
  EXPECT_EQ(barrier_beside(PreparedEnding::kRollBack), "done, barred");
}

// The request's key is the second unique one of the same row.
TEST_P(UndecidedKey, RequestIsMetUnderAnotherTransaction) {
  const Connection holder = resource().connect();
  const Connection retrier = resource().connect();
  BranchWork first = resource().add(1, 5);
  first.start.request = kRequest;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(first)));
  BranchWork retry = resource().add(1, 5);
  retry.start.request = kRequest;
  retry.start.lock_timeout = 300ms;
  EXPECT_EQ(code_of(retrier->run_branch(retry)), ErrorCode::kConflict);
  ASSERT_TRUE(holder->finish_prepared(first.start.id, PreparedEnding::kCommit).has_value());
  const Connection fresh = resource().connect();
  const WorkResult again = fresh->run_branch(retry);
  ASSERT_TRUE(ended_as<MarkerTaken>(again));
  EXPECT_EQ(std::get<MarkerTaken>(again.outcome).rows.at(0).transaction, first.start.id.transaction.text());
  EXPECT_EQ(resource().marker(retry.start.id), "");
  EXPECT_EQ(resource().balance(1), "105");
}

TEST_P(UndecidedKey, RequestBarrierKeepsEveryTransactionOut) {
  const Connection session = resource().connect();
  ASSERT_TRUE(session->insert_request_barrier(kRequest, {1}, 200ms).has_value());
  BranchWork late = resource().add(1, 5);
  late.start.request = kRequest;
  const WorkResult met = session->run_branch(late);
  ASSERT_TRUE(ended_as<MarkerTaken>(met));
  EXPECT_EQ(std::get<MarkerTaken>(met.outcome).rows.at(0).state, MarkerState::kBarred);
  EXPECT_EQ(outcome_of(session->insert_request_barrier(kRequest, {1}, 200ms)), "duplicate key");
}

// A client's own key, and a constraint: the branch ends with the statement, and nothing stays.
TEST_P(UndecidedKey, StatementThatIsRefusedEndsTheBranch) {
  const Connection session = resource().connect();
  for (const StatementWord& word : {StatementWord(InsertAccount{.id = 1, .balance = 1}),
                                    StatementWord(AddToAccount{.amount = -101, .id = 2})}) {
    BranchWork work = resource().add(3, 5);
    work.statements.push_back(write_out(resource().kind(), word));
    const WorkResult result = session->run_branch(work);
    EXPECT_EQ(code_of(result), ErrorCode::kStatementFailed) << describe(result);
    EXPECT_EQ(std::get<Refused>(result.outcome).error.statement, 2U);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_TRUE(ended_as<CommittedOnePhase>(
        session->run_branch(resource().add(3, 1, BranchEnding::kCommitOnePhase))));
  }
  EXPECT_EQ(resource().balance(3), "102");
}

// A name that is prepared: XA START is refused at once. On Postgres the marker waits in front of the name.
TEST_P(UndecidedKey, SecondRunOfAPreparedBranchIsRefused) {
  const Connection holder = resource().connect();
  const Connection second = resource().connect();
  BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  work.start.lock_timeout = 300ms;
  EXPECT_EQ(code_of(second->run_branch(work)),
            resource().is_postgres() ? ErrorCode::kConflict : ErrorCode::kBusy);
  EXPECT_EQ(second->condition(), ConnectionCondition::kDoubtful);
  ASSERT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// The same of a branch that still runs: InnoDB's names are the server's from XA START on.
TEST_P(UndecidedKey, SecondRunOfARunningBranchIsRefused) {
  const Connection first = resource().connect();
  const Connection second = resource().connect();
  BranchWork work = resource().add(1, 5);
  const AddToAccount word{.amount = 5, .id = 1};
  ASSERT_TRUE(ended_as<StatementDone>(first->run_statement(work, resource().open_statement(word, 1, true))));
  work.start.lock_timeout = 300ms;
  EXPECT_EQ(code_of(second->run_branch(work)),
            resource().is_postgres() ? ErrorCode::kConflict : ErrorCode::kBusy);
  EXPECT_EQ(code_of(first->roll_back_open(work)), ErrorCode::kStale);
  EXPECT_TRUE(ended_as<CommittedOnePhase>(
      resource().connect()->run_branch(resource().add(1, 1, BranchEnding::kCommitOnePhase))));
}

// [T7] Attack 2: what comes behind its barrier finds it.
TEST_P(UndecidedKey, LateBranchMeetsItsBarrier) {
  const Connection session = resource().connect();
  const BranchWork late = resource().add(1, 5);
  ASSERT_EQ(outcome_of(session->insert_barrier(late.start.id, {1}, 200ms)), "done");
  const WorkResult met = session->run_branch(late);
  ASSERT_TRUE(ended_as<MarkerTaken>(met));
  EXPECT_EQ(std::get<MarkerTaken>(met.outcome).rows.at(0).state, MarkerState::kBarred);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  EXPECT_EQ(resource().balance(1), "100");
}

TEST_P(UndecidedKey, RequestBarrierBesideAPreparedBranchIsUndecided) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  BranchWork work = resource().add(1, 5);
  work.start.request = kRequest;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  EXPECT_EQ(outcome_of(control->insert_request_barrier(kRequest, {1}, 200ms)), "lock timeout");
  ASSERT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(outcome_of(control->insert_request_barrier(kRequest, {1}, 200ms)), "duplicate key");
  const auto rows = control->read_markers(BranchId{}, kRequest);
  ASSERT_TRUE(rows.has_value()) << rows.error().error.message;
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->at(0).transaction, work.start.id.transaction.text());
}

}  // namespace
}  // namespace troth::sim
