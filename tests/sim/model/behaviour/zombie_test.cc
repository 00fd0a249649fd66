// Sessions that outlive their client, and what ends them (attacks 2, 29, 52).
#include <algorithm>

#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class Zombie : public BehaviourTest {
 protected:
  static bool knows(DatabaseConnection& control, const SessionIdentity& session) {
    const auto others = control.list_role_sessions();
    return others.has_value() &&
           std::ranges::find(*others, session.connection, &RoleSession::connection) != others->end();
  }
  // Of a session that has run these statements, so that the branch goes in one trip.
  void warm(DatabaseConnection& session, const BranchWork& work) {
    for (int i = 0; i < 2; ++i) {
      BranchWork again = resource().work({});
      again.statements = work.statements;
      EXPECT_TRUE(ended_as<Prepared>(session.run_branch(again)));
      EXPECT_TRUE(session.finish_prepared(again.start.id, PreparedEnding::kRollBack).has_value());
      EXPECT_TRUE(session.clean_up());
    }
  }
};
TROTH_BEHAVES(Zombie);

// What was sent whole is done whole: the branch is prepared seconds after its client had gone.
TEST_P(Zombie, BranchInOneTripIsPreparedBehindItsClientsBack) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  const Connection zombie = resource().connect({.patience = 60s, .had_to_wait = 60s, .may_leave = true});
  const BranchWork work = resource().add(1, 7);
  warm(*zombie, work);
  const BranchWork held = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  auto running = resource().start(*zombie, RunBranch{work});
  resource().wait_until_blocked(zombie->session_identity());
  resource().leave(*zombie, /*silently=*/false);
  const auto result = Resource::get<WorkResult>(running);
  ASSERT_TRUE(ended_as<Lost>(result));
  EXPECT_TRUE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_TRUE(knows(*control, zombie->session_identity())) << "it waits, and reads nothing";
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  resource().wait_until([&] { return lists(*control, work.start.id); });
  resource().wait_until([&] { return !knows(*control, zombie->session_identity()); });
  const Connection third = resource().connect();
  EXPECT_TRUE(third->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// Step by step the server does what it has been sent, and then reads that nobody is there.
TEST_P(Zombie, BranchInStepsGoesWhenTheServerReads) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  const Connection zombie = resource().connect({.patience = 60s, .may_leave = true});
  const BranchWork held = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  BranchWork work = resource().add(1, 7);
  work.one_trip = false;
  auto running = resource().start(*zombie, RunBranch{work});
  resource().wait_until_blocked(zombie->session_identity());
  resource().leave(*zombie, /*silently=*/false);
  const auto result = Resource::get<WorkResult>(running);
  ASSERT_TRUE(ended_as<Lost>(result));
  EXPECT_FALSE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_TRUE(knows(*control, zombie->session_identity())) << "it waits, and reads nothing";
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  resource().wait_until([&] { return !knows(*control, zombie->session_identity()); });
  EXPECT_FALSE(lists(*control, work.start.id));
  EXPECT_EQ(outcome_of(control->insert_barrier(work.start.id, work.start.epoch, 200ms)), "done");
  EXPECT_EQ(resource().balance(1), "105");
}

// A session that its server does not know to be lost keeps its locks, until somebody ends it.
TEST_P(Zombie, HalfOpenSessionKeepsItsLocksUntilItIsEnded) {
  const Connection control = resource().connect();
  const Connection zombie = resource().connect({.may_leave = true});
  const BranchWork open = resource().work({});
  const AddToAccount word{.amount = 5, .id = 1};
  ASSERT_TRUE(ended_as<StatementDone>(zombie->run_statement(open, resource().open_statement(word, 1, true))));
  resource().leave(*zombie, /*silently=*/true);
  EXPECT_EQ(outcome_of(control->insert_barrier(open.start.id, open.start.epoch, 200ms)), "lock timeout");
  EXPECT_TRUE(knows(*control, zombie->session_identity()));
  resource().wait_until([&] { return control->end_session(zombie->session_identity()).value_or(false); });
  EXPECT_EQ(outcome_of(control->insert_barrier(open.start.id, open.start.epoch, 200ms)), "done");
  EXPECT_EQ(resource().balance(1), "100");
}

// Attack 29: a half-open session keeps a MariaDB branch hostage; its end frees the branch, prepared as it is.
TEST_P(Zombie, HalfOpenSessionKeepsItsPreparedBranchWhereItIsTied) {
  const Connection control = resource().connect();
  const Connection zombie = resource().connect({.may_leave = true});
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(zombie->run_branch(work)));
  resource().leave(*zombie, /*silently=*/true);
  if (resource().ties()) {
    EXPECT_EQ(outcome_of(control->finish_prepared(work.start.id, PreparedEnding::kCommit)), "unknown xid");
    resource().wait_until([&] { return control->end_session(zombie->session_identity()).value_or(false); });
  }
  EXPECT_TRUE(lists(*control, work.start.id));
  EXPECT_EQ(outcome_of(control->finish_prepared(work.start.id, PreparedEnding::kCommit)), "done");
  EXPECT_EQ(resource().balance(1), "105");
}

// An end that somebody else asked for reaches a session that waits for a lock.
TEST_P(Zombie, SessionThatWaitsIsEndedAndSeenGone) {
  const Connection holder = resource().connect();
  const Connection control = resource().connect();
  const Connection waiter = resource().connect({.patience = 60s});
  const BranchWork held = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  BranchWork work = resource().add(1, 7);
  work.one_trip = false;
  auto running = resource().start(*waiter, RunBranch{work});
  resource().wait_until_blocked(waiter->session_identity());
  resource().wait_until([&] { return control->end_session(waiter->session_identity()).value_or(false); });
  EXPECT_TRUE(ended_as<Lost>(Resource::get<WorkResult>(running)));
  EXPECT_FALSE(knows(*control, waiter->session_identity()));
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(outcome_of(waiter->list_prepared()), "connection lost") << "[T12] it stays lost";
}

// One that is gone already, or was of an earlier start of the server, is as good as ended.
TEST_P(Zombie, SessionThatIsGoneCountsAsEnded) {
  const Connection control = resource().connect();
  const Connection other = resource().connect();
  SessionIdentity old = other->session_identity();
  old.server_start.value -= 1000;
  EXPECT_TRUE(control->end_session(old).value_or(false));
  EXPECT_TRUE(other->list_prepared().has_value()) << "the number is another session's now";
  resource().kill(other->session_identity());
  EXPECT_TRUE(control->end_session(other->session_identity()).value_or(false));
}

// [T12] A client that asks nothing does not hear that its session went; whatever it asks next finds that out, and it stays
// so.
TEST_P(Zombie, SessionThatWentIsFoundOutByTheNextCall) {
  const Connection session = resource().connect();
  resource().kill(session->session_identity());
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  const WorkResult result = session->run_branch(resource().add(1, 5));
  EXPECT_TRUE(ended_as<Lost>(result));
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  EXPECT_EQ(outcome_of(session->list_prepared()), "connection lost");
  EXPECT_FALSE(session->clean_up());
  EXPECT_EQ(resource().balance(1), "100");
}

}  // namespace
}  // namespace troth::sim
