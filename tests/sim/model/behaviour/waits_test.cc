// Waits that nobody wants: deadlocks, time that is up, and whoever stops them.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class Waits : public BehaviourTest {
 protected:
  // A prepared branch that holds account 1.
  BranchWork hold(DatabaseConnection& holder) {
    BranchWork held = resource().add(1, 5);
    EXPECT_TRUE(ended_as<Prepared>(holder.run_branch(held)));
    return held;
  }
};
TROTH_BEHAVES(Waits);

// InnoDB rolls one of them back at once, Postgres after a second; the other goes on.
TEST_P(Waits, DeadlockEndsOneOfTwoAndTheOtherGoesOn) {
  const Connection one = resource().connect({.patience = 60s});
  const Connection two = resource().connect({.patience = 60s});
  const BranchWork first = resource().work({});
  const BranchWork second = resource().work({});
  const auto add = [&](std::int64_t account, std::uint32_t number) {
    return resource().open_statement(AddToAccount{.amount = 1, .id = account}, number, number == 1);
  };
  ASSERT_TRUE(ended_as<StatementDone>(one->run_statement(first, add(1, 1))));
  ASSERT_TRUE(ended_as<StatementDone>(two->run_statement(second, add(2, 1))));
  auto waiting = resource().start(*one, RunStatement{first, add(2, 2)});
  resource().wait_until_blocked(one->session_identity());
  const WorkResult closes = two->run_statement(second, add(1, 2));
  const auto waited = Resource::get<WorkResult>(waiting);
  const bool first_goes_on = std::holds_alternative<StatementDone>(waited.outcome);
  EXPECT_NE(first_goes_on, std::holds_alternative<StatementDone>(closes.outcome))
      << describe(waited) << "; " << describe(closes);
  EXPECT_EQ(code_of(first_goes_on ? closes : waited), ErrorCode::kConflict);
  DatabaseConnection& session = first_goes_on ? *one : *two;
  const BranchWork& work = first_goes_on ? first : second;
  ASSERT_TRUE(ended_as<Prepared>(session.prepare_open(work, true, false)));
  ASSERT_TRUE(session.finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "101");
  EXPECT_EQ(resource().balance(2), "101");
}

TEST_P(Waits, StatementPastItsTimeIsStopped) {
  const Connection holder = resource().connect();
  const Connection waiter = resource().connect({.patience = 60s});
  const BranchWork held = hold(*holder);
  BranchWork work = resource().add(2, 1);
  work.statements.push_back(write_out(resource().kind(), AddToAccount{.amount = 1, .id = 1}));
  work.start.statement_timeout = 200ms;
  const WorkResult result = waiter->run_branch(work);
  EXPECT_EQ(code_of(result), ErrorCode::kTimeout) << describe(result);
  EXPECT_EQ(std::get<Refused>(result.outcome).error.statement, 2U);
  EXPECT_EQ(resource().marker(work.start.id), "");
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(2), "100");
}

TEST_P(Waits, WaitIsInterruptedFromOutside) {
  const Connection holder = resource().connect();
  const Connection waiter = resource().connect({.patience = 60s});
  const BranchWork held = hold(*holder);
  const BranchWork work = resource().add(1, 7);
  auto waiting = resource().start(*waiter, RunBranch{work});
  resource().wait_until_blocked(waiter->session_identity());
  waiter->cancellation()->request();
  waiter->cancellation()->interrupt();
  const auto result = Resource::get<WorkResult>(waiting);
  EXPECT_EQ(code_of(result), ErrorCode::kTimeout) << describe(result);
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// A yes behind a request to stop may not be told: the branch was prepared, and is taken back.
TEST_P(Waits, BranchThatIsPreparedTooLateIsTakenBack) {
  const Connection holder = resource().connect();
  const Connection waiter = resource().connect({.patience = 60s});
  const BranchWork held = hold(*holder);
  const BranchWork late = resource().add(1, 7);
  auto waiting = resource().start(*waiter, RunBranch{late});
  resource().wait_until_blocked(waiter->session_identity());
  waiter->cancellation()->request();
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(code_of(Resource::get<WorkResult>(waiting)), ErrorCode::kTimeout);
  EXPECT_EQ(waiter->condition(), ConnectionCondition::kIdle);
  EXPECT_FALSE(lists(*holder, late.start.id));
  EXPECT_EQ(resource().marker(late.start.id), "");
}

// A barrier, too: it is not told then whether the branch can happen.
TEST_P(Waits, BarrierThatWaitsIsInterrupted) {
  const Connection holder = resource().connect();
  const Connection waiter = resource().connect({.patience = 60s});
  const BranchWork held = hold(*holder);
  auto waiting = resource().start(*waiter, InsertBarrier{held.start.id, {1}, 60s});
  resource().wait_until_blocked(waiter->session_identity());
  waiter->cancellation()->request();
  waiter->cancellation()->interrupt();
  EXPECT_EQ(outcome_of(Resource::get<Answer<void>>(waiting)), "cancelled");
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().marker(held.start.id), "committed");
}

}  // namespace
}  // namespace troth::sim
