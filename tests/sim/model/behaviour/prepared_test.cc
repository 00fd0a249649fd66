// Prepared branches: who may end them, and what they outlive.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class PreparedBranch : public BehaviourTest {};
TROTH_BEHAVES(PreparedBranch);

// Attacks 4 and 29: MariaDB ties it to its session. While that lives, any other one is told that there is no such branch,
// although it is listed.
TEST_P(PreparedBranch, AnotherSessionFinishesItUnlessItIsTied) {
  const Connection holder = resource().connect();
  const Connection other = resource().connect();
  const BranchWork work = resource().add(1, 5);
  const WorkResult result = holder->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_EQ(std::get<Prepared>(result.outcome).tied, resource().ties());
  EXPECT_EQ(holder->condition(), resource().ties() ? ConnectionCondition::kTied : ConnectionCondition::kIdle);
  EXPECT_TRUE(lists(*other, work.start.id));
  const Answer<void> finished = other->finish_prepared(work.start.id, PreparedEnding::kCommit);
  EXPECT_EQ(outcome_of(finished), resource().ties() ? "unknown xid" : "done");
  EXPECT_EQ(resource().balance(1), resource().ties() ? "100" : "105");
  EXPECT_EQ(lists(*other, work.start.id), resource().ties());
  if (resource().ties()) {
    EXPECT_TRUE(holder->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    EXPECT_EQ(holder->condition(), ConnectionCondition::kIdle);
  }
  EXPECT_EQ(resource().balance(1), "105");
}

// A branch without name, one that has ended, and one that never was are the same to the server: neither success nor
// failure [T9].
TEST_P(PreparedBranch, UnknownNameSaysNothing) {
  const Connection session = resource().connect();
  const BranchWork work = resource().add(1, 5);
  EXPECT_EQ(outcome_of(session->finish_prepared(work.start.id, PreparedEnding::kCommit)), "unknown xid");
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(outcome_of(session->finish_prepared(work.start.id, PreparedEnding::kCommit)), "unknown xid");
  EXPECT_EQ(outcome_of(session->finish_prepared(work.start.id, PreparedEnding::kRollBack)), "unknown xid");
  EXPECT_EQ(resource().balance(1), "105");
}

// [T2] Of a marker that says "committed", and of no other: a barrier stays one, and what is not there is not made.
TEST_P(PreparedBranch, AnOperatorsCommitIsMarked) {
  const Connection session = resource().connect();
  const Connection other = resource().connect();
  const auto state = [&](const BranchId& branch) -> std::string {
    const auto rows = other->read_markers(branch, std::nullopt);
    if (!rows.has_value()) return "unreadable";
    return rows->empty() ? "none" : std::string(name_of(rows->front().state));
  };
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  for (int time = 1; time <= 2; ++time) {
    ASSERT_TRUE(other->mark_resolved(work.start.id).has_value());
    EXPECT_EQ(state(work.start.id), "resolved");
  }
  EXPECT_EQ(resource().balance(1), "105");

  const BranchId barred = resource().add(1, 5).start.id;
  ASSERT_TRUE(other->mark_resolved(barred).has_value());
  EXPECT_EQ(state(barred), "none");
  ASSERT_TRUE(other->insert_barrier(barred, {1}, 50ms).has_value());
  ASSERT_TRUE(other->mark_resolved(barred).has_value());
  EXPECT_EQ(state(barred), "barred");
}

// It survives the end of its session with its locks, and is any session's to finish then.
TEST_P(PreparedBranch, OutlivesItsSessionWithItsLocks) {
  Connection holder = resource().connect();
  const Connection other = resource().connect();
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(work)));
  resource().kill(holder->session_identity());
  EXPECT_TRUE(lists(*other, work.start.id));
  BranchWork waits = resource().add(1, 7);
  waits.start.lock_timeout = 300ms;
  EXPECT_EQ(code_of(other->run_branch(waits)), ErrorCode::kConflict);
  const Connection third = resource().connect();
  ASSERT_TRUE(third->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// One that is not prepared does not.
TEST_P(PreparedBranch, ActiveBranchGoesWithItsSession) {
  const Connection holder = resource().connect();
  const Connection other = resource().connect({.patience = 60s});
  const BranchWork open = resource().work({});
  ASSERT_TRUE(ended_as<StatementDone>(
      holder->run_statement(open, resource().open_statement(AddToAccount{.amount = 5, .id = 1}, 1, true))));
  const BranchWork waits = resource().add(1, 7);
  auto waiting = resource().start(*other, RunBranch{waits});
  resource().wait_until_blocked(other->session_identity());
  resource().kill(holder->session_identity());
  ASSERT_TRUE(ended_as<Prepared>(Resource::get<WorkResult>(waiting)));
  ASSERT_TRUE(other->finish_prepared(waits.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "107");
  const WorkResult lost = holder->prepare_open(open, true, false);
  EXPECT_TRUE(ended_as<Lost>(lost));
  EXPECT_EQ(holder->condition(), ConnectionCondition::kLost);
  EXPECT_FALSE(lists(*other, open.start.id));
}

// MySQL and Postgres free the session at the prepare; MariaDB's does nothing but end the branch.
TEST_P(PreparedBranch, SessionIsFreeAtThePrepareUnlessItIsTied) {
  const Connection session = resource().connect();
  const BranchWork first = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(first)));
  const BranchWork second = resource().add(2, 5);
  const WorkResult result = session->run_branch(second);
  EXPECT_EQ(session->read_markers(first.start.id, std::nullopt).has_value(), !resource().ties());
  if (resource().ties()) {
    EXPECT_EQ(code_of(result), ErrorCode::kBusy);
  } else {
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_TRUE(session->finish_prepared(second.start.id, PreparedEnding::kRollBack).has_value());
  }
  EXPECT_TRUE(session->finish_prepared(first.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(resource().balance(1), "100");
}

// Attack 45: neither the owner row nor the floors are locked by what has read them, prepared or not.
TEST_P(PreparedBranch, DoesNotStopTheNextOwner) {
  const Connection session = resource().connect();
  const Connection control = resource().connect();
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  EXPECT_TRUE(control->raise_counter(resource().owner(), 1).value_or(false));
  EXPECT_FALSE(control->raise_counter(resource().owner(), 1).value_or(true)) << "it is 1 by now";
  EXPECT_TRUE(control->raise_floors(work.start.id.transaction.cluster, {.position = {{1}, {1}}}).has_value());
  OwnerRow next = resource().owner();
  next.incarnation.value += 1;
  next.nonce.value = 8;
  EXPECT_TRUE(control->claim_owner(resource().owner(), next).value_or(false));
  EXPECT_FALSE(control->claim_owner(resource().owner(), next).value_or(true));
  // And the old owner's next branch reads so behind its marker.
  const Connection old = resource().connect();
  EXPECT_EQ(code_of(old->run_branch(resource().add(2, 5))), ErrorCode::kNotOwner);
  EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
}

// A branch that declared that it only reads cannot write, and leaves nothing to finish.
TEST_P(PreparedBranch, ReadOnlyBranchLeavesNothing) {
  const Connection session = resource().connect();
  const BranchWork reads = resource().work({ReadAccount{.id = 1}}, BranchEnding::kReadOnly);
  EXPECT_TRUE(ended_as<ReadOnlyDone>(session->run_branch(reads)));
  EXPECT_FALSE(lists(*session, reads.start.id));
  EXPECT_EQ(resource().marker(reads.start.id), "");
  EXPECT_EQ(code_of(session->run_branch(resource().add(1, 5, BranchEnding::kReadOnly))),
            ErrorCode::kForbiddenStatement);
  EXPECT_EQ(resource().balance(1), "100");
}

// Interactive: read only so far, so it has no marker and needs no vote; InnoDB cannot tell, and prepares it.
TEST_P(PreparedBranch, OpenBranchThatOnlyReadNeedsNoPrepare) {
  const Connection session = resource().connect();
  const BranchWork work = resource().work({});
  ASSERT_TRUE(ended_as<StatementDone>(
      session->run_statement(work, resource().open_statement(ReadAccount{.id = 1}, 1, false))));
  const WorkResult ended = session->prepare_open(work, /*marked=*/false, /*hold=*/false);
  if (resource().is_postgres()) {
    EXPECT_TRUE(ended_as<ReadOnlyDone>(ended));
  } else {
    ASSERT_TRUE(ended_as<Prepared>(ended));
    EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    EXPECT_EQ(resource().marker(work.start.id), "committed");
  }
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
}

// What a branch that writes has locked by reading stays locked while it is prepared.
TEST_P(PreparedBranch, KeepsTheLocksOfItsReads) {
  const Connection session = resource().connect();
  const BranchWork work =
      resource().work({AddToAccount{.amount = 5, .id = 1}, ReadAccount{.id = 2, .locks = true}});
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  const Connection other = resource().connect();
  BranchWork waits = resource().add(2, 5);
  waits.start.lock_timeout = 300ms;
  EXPECT_EQ(code_of(other->run_branch(waits)), ErrorCode::kConflict);
  EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  const Connection third = resource().connect();
  EXPECT_TRUE(
      ended_as<CommittedOnePhase>(third->run_branch(resource().add(2, 5, BranchEnding::kCommitOnePhase))));
}

class TiedSession : public BehaviourTest {};
TROTH_BEHAVES_ON(TiedSession, DatabaseKind::kMariadb);

// It ends its own branch and no other, although that one may be any session's to end (1400 XAER_OUTSIDE).
TEST_P(TiedSession, EndsNoOtherBranch) {
  const BranchWork free = resource().add(1, 5);
  const Connection lost = resource().connect();
  ASSERT_TRUE(ended_as<Prepared>(lost->run_branch(free)));
  resource().kill(lost->session_identity());
  const Connection session = resource().connect();
  const BranchWork own = resource().add(2, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(own)));
  EXPECT_EQ(outcome_of(session->finish_prepared(free.start.id, PreparedEnding::kCommit)), "implicit commit");
  EXPECT_EQ(outcome_of(session->finish_prepared(own.start.id, PreparedEnding::kCommit)), "done");
  EXPECT_EQ(outcome_of(session->finish_prepared(free.start.id, PreparedEnding::kCommit)), "done");
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().balance(2), "105");
}

}  // namespace
}  // namespace troth::sim
