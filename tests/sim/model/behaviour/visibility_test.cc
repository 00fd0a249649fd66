// What a read sees of a branch that is under way, and what waits for it.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class Visibility : public BehaviourTest {
 protected:
  // What the one row of the last statement says; "none" without a row.
  static std::string read_of(const WorkResult& result) {
    if (result.results.empty()) return describe(result);
    const StatementResult& last = result.results.back();
    return last.rows.empty() ? "none" : std::to_string(std::get<std::int64_t>(last.rows.at(0).at(0).is));
  }
  std::string read(DatabaseConnection& connection, std::int64_t account, bool locks = false) {
    BranchWork work = resource().work({ReadAccount{.id = account, .locks = locks}},
                                      locks ? BranchEnding::kPrepare : BranchEnding::kReadOnly);
    work.start.lock_timeout = 300ms;
    const WorkResult result = connection.run_branch(work);
    if (std::holds_alternative<Prepared>(result.outcome)) {
      EXPECT_TRUE(connection.finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
    }
    return std::holds_alternative<Refused>(result.outcome) ? std::string(name_of(code_of(result)))
                                                           : read_of(result);
  }
};
TROTH_BEHAVES(Visibility);

TEST_P(Visibility, PreparedBranchIsNotSeenAndCommittedOneIs) {
  const Connection writer = resource().connect();
  const Connection reader = resource().connect();
  const BranchWork work =
      resource().work({AddToAccount{.amount = 5, .id = 1}, InsertAccount{.id = 9, .balance = 50}});
  ASSERT_TRUE(ended_as<Prepared>(writer->run_branch(work)));
  EXPECT_EQ(read(*reader, 1), "100");
  EXPECT_EQ(read(*reader, 9), "none");
  EXPECT_EQ(resource().marker(work.start.id), "");
  ASSERT_TRUE(writer->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(read(*reader, 1), "105");
  EXPECT_EQ(read(*reader, 9), "50");
  EXPECT_EQ(resource().marker(work.start.id), "committed");
}

// Attacks 4 and 39: a locking read tells the truth of a row that is there (it waits), and of one that a prepared branch has
// inserted only on InnoDB. On Postgres it reads "none" at once: rows that nobody sees are not locked.
TEST_P(Visibility, LockingReadWaitsForWhatItSees) {
  const Connection writer = resource().connect();
  const Connection reader = resource().connect();
  const BranchWork work =
      resource().work({AddToAccount{.amount = 5, .id = 1}, InsertAccount{.id = 9, .balance = 50}});
  ASSERT_TRUE(ended_as<Prepared>(writer->run_branch(work)));
  EXPECT_EQ(read(*reader, 1, /*locks=*/true), "conflict");
  EXPECT_EQ(read(*reader, 9, /*locks=*/true), resource().is_postgres() ? "none" : "conflict");
  EXPECT_EQ(read(*reader, 2, /*locks=*/true), "100");
  ASSERT_TRUE(writer->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(read(*reader, 1, /*locks=*/true), "100");
  EXPECT_EQ(read(*reader, 9, /*locks=*/true), "none");
}

// An update under READ COMMITTED that waited works with what was committed meanwhile.
TEST_P(Visibility, UpdateThatWaitedAddsToTheNewestBalance) {
  const Connection first = resource().connect();
  const Connection second = resource().connect({.patience = 60s});
  const BranchWork held = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(first->run_branch(held)));
  const BranchWork waits = resource().add(1, 7);
  auto waiting = resource().start(*second, RunBranch{waits});
  resource().wait_until_blocked(second->session_identity());
  ASSERT_TRUE(first->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  ASSERT_TRUE(ended_as<Prepared>(Resource::get<WorkResult>(waiting)));
  ASSERT_TRUE(second->finish_prepared(waits.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "112");
}

// Under REPEATABLE READ a branch reads what was there when it first read. Postgres refuses to write on top of what was
// committed since; InnoDB writes on top of the newest.
TEST_P(Visibility, RepeatableReadKeepsItsSnapshot) {
  const Connection old = resource().connect();
  const Connection other = resource().connect();
  BranchWork work = resource().work({});
  work.start.isolation = Isolation::kRepeatableRead;
  WorkResult result =
      old->run_statement(work, resource().open_statement(ReadAccount{.id = 1}, 1, /*marks=*/true));
  ASSERT_TRUE(ended_as<StatementDone>(result));
  EXPECT_EQ(read_of(result), "100");
  ASSERT_TRUE(
      ended_as<CommittedOnePhase>(other->run_branch(resource().add(1, 5, BranchEnding::kCommitOnePhase))));
  result = old->run_statement(work, resource().open_statement(ReadAccount{.id = 1}, 2, false));
  EXPECT_EQ(read_of(result), "100");
  result = old->run_statement(work, resource().open_statement(AddToAccount{.amount = 7, .id = 1}, 3, false));
  if (resource().is_postgres()) {
    EXPECT_EQ(code_of(result), ErrorCode::kConflict) << describe(result);
    return;
  }
  ASSERT_TRUE(ended_as<StatementDone>(result));
  ASSERT_TRUE(ended_as<Prepared>(old->prepare_open(work, true, false)));
  ASSERT_TRUE(old->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "112");
}

// The same without it: each statement sees what is committed by then.
TEST_P(Visibility, ReadCommittedSeesWhatIsCommittedByThen) {
  const Connection old = resource().connect();
  const Connection other = resource().connect();
  const BranchWork work = resource().work({});
  WorkResult result =
      old->run_statement(work, resource().open_statement(ReadAccount{.id = 1}, 1, /*marks=*/true));
  EXPECT_EQ(read_of(result), "100");
  ASSERT_TRUE(
      ended_as<CommittedOnePhase>(other->run_branch(resource().add(1, 5, BranchEnding::kCommitOnePhase))));
  result = old->run_statement(work, resource().open_statement(ReadAccount{.id = 1}, 2, false));
  EXPECT_EQ(read_of(result), "105");
  EXPECT_EQ(code_of(old->roll_back_open(work)), ErrorCode::kStale);
  EXPECT_EQ(old->condition(), ConnectionCondition::kIdle);
}

// An update of a row that a prepared branch has inserted: Postgres sees none, and goes on; InnoDB waits for it.
TEST_P(Visibility, UpdateOfARowThatIsNotYetThere) {
  const Connection writer = resource().connect();
  const Connection other = resource().connect();
  const BranchWork inserts = resource().work({InsertAccount{.id = 9, .balance = 50}});
  ASSERT_TRUE(ended_as<Prepared>(writer->run_branch(inserts)));
  BranchWork adds = resource().add(9, 1);
  adds.start.lock_timeout = 300ms;
  const WorkResult result = other->run_branch(adds);
  EXPECT_EQ(code_of(result), resource().is_postgres() ? ErrorCode::kExpectationMissed : ErrorCode::kConflict);
  EXPECT_TRUE(writer->finish_prepared(inserts.start.id, PreparedEnding::kRollBack).has_value());
}

// Two SERIALIZABLE branches of which each has read what the other writes: Postgres refuses the one that comes to its prepare
// second, InnoDB has locked what they have read, and ends one of them by a deadlock.
TEST_P(Visibility, OfTwoBranchesThatReadWhatTheOtherWritesOnePrepares) {
  const Connection one = resource().connect({.patience = 60s});
  const Connection two = resource().connect({.patience = 60s});
  BranchWork first = resource().work({});
  BranchWork second = resource().work({});
  first.start.isolation = second.start.isolation = Isolation::kSerializable;
  const auto read = [&](std::int64_t id) {
    return resource().open_statement(ReadAccount{.id = id}, 1, true);
  };
  const auto add = [&](std::int64_t id) {
    return resource().open_statement(AddToAccount{.amount = 1, .id = id}, 2, false);
  };
  ASSERT_TRUE(ended_as<StatementDone>(one->run_statement(first, read(2))));
  ASSERT_TRUE(ended_as<StatementDone>(two->run_statement(second, read(1))));
  auto first_adds = resource().start(*one, RunStatement{first, add(1)});
  if (!resource().is_postgres()) resource().wait_until_blocked(one->session_identity());
  WorkResult second_result = two->run_statement(second, add(2));
  auto first_result = Resource::get<WorkResult>(first_adds);
  if (std::holds_alternative<StatementDone>(first_result.outcome))
    first_result = one->prepare_open(first, true, false);
  if (std::holds_alternative<StatementDone>(second_result.outcome))
    second_result = two->prepare_open(second, true, false);
  const bool first_prepared = std::holds_alternative<Prepared>(first_result.outcome);
  EXPECT_NE(first_prepared, std::holds_alternative<Prepared>(second_result.outcome))
      << describe(first_result) << "; " << describe(second_result);
  EXPECT_EQ(code_of(first_prepared ? second_result : first_result), ErrorCode::kConflict);
  EXPECT_TRUE(first_prepared || !resource().is_postgres());
  DatabaseConnection& session = first_prepared ? *one : *two;
  EXPECT_TRUE(session.finish_prepared((first_prepared ? first : second).start.id, PreparedEnding::kCommit)
                  .has_value());
}

// A prepared one counts, too: it can no longer be refused.
TEST_P(Visibility, BranchThatReadsWhatAPreparedOneWritesIsRefused) {
  const Connection one = resource().connect();
  const Connection two = resource().connect();
  BranchWork first = resource().work({ReadAccount{.id = 2}, AddToAccount{.amount = 1, .id = 1}});
  BranchWork second = resource().work({ReadAccount{.id = 1}, AddToAccount{.amount = 1, .id = 2}});
  first.start.isolation = second.start.isolation = Isolation::kSerializable;
  ASSERT_TRUE(ended_as<Prepared>(one->run_branch(first)));
  const WorkResult result = two->run_branch(second);
  EXPECT_EQ(code_of(result), ErrorCode::kConflict) << describe(result);
  const std::string sqlstate = std::get<Refused>(result.outcome).error.sqlstate;
  EXPECT_EQ(sqlstate, resource().is_postgres() ? "40001" : "HY000") << "a lock that is waited for in vain";
  EXPECT_TRUE(one->finish_prepared(first.start.id, PreparedEnding::kCommit).has_value());
  const Connection third = resource().connect();
  BranchWork again = resource().work({ReadAccount{.id = 1}, AddToAccount{.amount = 1, .id = 2}},
                                     BranchEnding::kCommitOnePhase);
  again.start.isolation = Isolation::kSerializable;
  EXPECT_TRUE(ended_as<CommittedOnePhase>(third->run_branch(again)));
}

}  // namespace
}  // namespace troth::sim
