// What happens to a whole server: each test has one of its own.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class WholeServer : public ServerBehaviourTest {
 protected:
  ServerRow read_server(DatabaseConnection& session, const std::string& known_gtid = {}) {
    const Answer<ServerRow> row = session.read_server(known_gtid);
    EXPECT_TRUE(row.has_value()) << row.error().error.message;
    return row.value_or(ServerRow{});
  }
  void commit(DatabaseConnection& session, const BranchWork& work) {
    EXPECT_TRUE(ended_as<CommittedOnePhase>(session.run_branch(work)));
  }
};
TROTH_BEHAVES(WholeServer);

// It keeps what it acknowledged, and nothing that was under way; prepared branches keep their locks.
TEST_P(WholeServer, CrashKeepsWhatIsPreparedAndWhatIsCommitted) {
  const Connection holder = resource().connect();
  const Connection open = resource().connect();
  const Connection other = resource().connect();
  const ServerRow before = read_server(*other);
  const BranchWork prepared =
      resource().work({AddToAccount{.amount = 5, .id = 1}, InsertAccount{.id = 9, .balance = 9}});
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(prepared)));
  const BranchWork under_way = resource().work({});
  ASSERT_TRUE(ended_as<StatementDone>(open->run_statement(
      under_way, resource().open_statement(AddToAccount{.amount = 5, .id = 3}, 1, true))));
  const BranchWork committed = resource().add(2, 5, BranchEnding::kCommitOnePhase);
  commit(*other, committed);
  resource().crash();

  EXPECT_TRUE(ended_as<Lost>(open->prepare_open(under_way, true, false)));
  EXPECT_EQ(outcome_of(holder->finish_prepared(prepared.start.id, PreparedEnding::kCommit)),
            "connection lost");
  EXPECT_EQ(holder->condition(), ConnectionCondition::kLost);

  const Connection fresh = resource().connect();
  EXPECT_EQ(read_server(*fresh).server, before.server);
  EXPECT_EQ(read_server(*fresh).timeline, before.timeline);
  EXPECT_EQ(read_server(*fresh).owner, before.owner);
  EXPECT_EQ(resource().balance(2), "105");
  EXPECT_EQ(resource().marker(committed.start.id), "committed");
  EXPECT_EQ(outcome_of(fresh->insert_barrier(under_way.start.id, {1}, 200ms)), "done");
  EXPECT_TRUE(lists(*fresh, prepared.start.id));
  EXPECT_EQ(resource().marker(prepared.start.id), "");
  EXPECT_EQ(outcome_of(fresh->insert_barrier(prepared.start.id, {1}, 200ms)), "lock timeout");
  BranchWork waits = resource().add(1, 1);
  waits.start.lock_timeout = 300ms;
  const Connection waiter = resource().connect();
  EXPECT_EQ(code_of(waiter->run_branch(waits)), ErrorCode::kConflict);
  EXPECT_EQ(outcome_of(fresh->finish_prepared(prepared.start.id, PreparedEnding::kCommit)), "done");
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().balance(9), "9");
}

// A row that a prepared branch has only locked: Postgres finds the lock in the row, InnoDB has forgotten it. What was written
// on the ground of such a read is not safe behind a crash; Troth's own rows are all written.
TEST_P(WholeServer, CrashKeepsTheLocksOfReadsOnPostgresOnly) {
  const Connection session = resource().connect();
  const BranchWork work =
      resource().work({AddToAccount{.amount = 5, .id = 1}, ReadAccount{.id = 2, .locks = true}});
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  resource().crash();
  const Connection other = resource().connect();
  BranchWork adds = resource().add(2, 5, BranchEnding::kCommitOnePhase);
  adds.start.lock_timeout = 300ms;
  const WorkResult result = other->run_branch(adds);
  if (resource().is_postgres()) {
    EXPECT_EQ(code_of(result), ErrorCode::kConflict);
  } else {
    EXPECT_TRUE(ended_as<CommittedOnePhase>(result));
  }
  const Connection finisher = resource().connect();
  EXPECT_TRUE(finisher->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
}

// Attacks 3 and 46: set back to a copy it is the same server by its name, and forgets what it acknowledged. A barrier goes
// in where a commit was; what had been committed is prepared again. The owner row's counter tells, and MySQL's GTIDs.
TEST_P(WholeServer, SetBackServerKnowsNothingOfIt) {
  Connection session = resource().connect();
  const BranchWork prepared = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(prepared)));
  resource().back_up();

  session = resource().connect();
  const ServerRow before = read_server(*session);
  EXPECT_TRUE(session->raise_counter(resource().owner(), 1).value_or(false));
  EXPECT_TRUE(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit).has_value());
  const BranchWork committed = resource().add(2, 5, BranchEnding::kCommitOnePhase);
  commit(*session, committed);
  const ServerRow known = read_server(*session);
  resource().set_back();

  session = resource().connect();
  const ServerRow row = read_server(*session, known.gtid);
  EXPECT_EQ(row.server, before.server);
  EXPECT_EQ(row.timeline, before.timeline);
  EXPECT_EQ(row.owner.counter, 0U);
  EXPECT_EQ(row.holds_known_gtid,
            GetParam().kind == DatabaseKind::kMysql ? std::optional(false) : std::nullopt);
  EXPECT_TRUE(lists(*session, prepared.start.id));
  EXPECT_EQ(resource().balance(2), "100");
  EXPECT_EQ(outcome_of(session->insert_barrier(committed.start.id, {1}, 200ms)), "done");
  EXPECT_FALSE(session->raise_counter(resource().owner(), 2).value_or(true));
  EXPECT_TRUE(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// A standby, or a server that takes no writes: it says so, and refuses Troth's. But MySQL's `super_read_only` keeps nobody
// from committing a prepared branch (tried on 9.7.4); MariaDB's `read_only` does. Postgres begins no transaction there that
// may write (0A000), and ends no prepared one (25006).
TEST_P(WholeServer, ReadOnlyServerRefusesWrites) {
  const bool is_mysql = GetParam().kind == DatabaseKind::kMysql;
  Connection session = resource().connect();
  const ServerRow before = read_server(*session);
  EXPECT_FALSE(before.read_only);
  const BranchWork prepared = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(prepared)));
  resource().kill(session->session_identity());
  resource().become_read_only();

  session = resource().connect();
  EXPECT_TRUE(read_server(*session).read_only);
  const std::string word = resource().is_postgres() ? "read-only transaction" : "read-only server";
  EXPECT_EQ(outcome_of(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit)),
            is_mysql ? "done" : word);
  EXPECT_EQ(outcome_of(session->raise_counter(resource().owner(), 1)), word);
  EXPECT_EQ(
      outcome_of(session->raise_floors(prepared.start.id.transaction.cluster, {.position = {{1}, {1}}})),
      word);
  EXPECT_EQ(outcome_of(session->insert_barrier(resource().add(2, 5).start.id, {1}, 200ms)),
            resource().is_postgres() ? "not preparable" : word);
  const WorkResult refused = session->run_branch(resource().add(2, 5));
  EXPECT_EQ(code_of(refused), ErrorCode::kUnavailable) << describe(refused);
  const Connection reader = resource().connect();
  EXPECT_TRUE(ended_as<ReadOnlyDone>(
      reader->run_branch(resource().work({ReadAccount{.id = 1}}, BranchEnding::kReadOnly))));

  resource().become_writable();
  session = resource().connect();
  const ServerRow after = read_server(*session);
  EXPECT_FALSE(after.read_only);
  EXPECT_EQ(after.server, before.server);
  EXPECT_EQ(after.timeline, before.timeline + (resource().is_postgres() ? 1 : 0));
  EXPECT_EQ(lists(*session, prepared.start.id), !is_mysql);
  EXPECT_EQ(outcome_of(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit)),
            is_mysql ? "unknown xid" : "done");
  EXPECT_EQ(resource().balance(1), "105");
}

// A setting that loses what the server acknowledges is read behind the marker, and refuses whatever writes; what is
// prepared can be ended, and a branch that does not ask for it runs.
TEST_P(WholeServer, ThatLosesWhatItAcknowledgesRefusesBranches) {
  const Connection session = resource().connect();
  const BranchWork prepared = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(prepared)));
  resource().lose_durability();
  EXPECT_EQ(outcome_of(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit)), "done");
  const Connection fresh = resource().connect();
  EXPECT_NE(read_server(*fresh).not_durable, "");
  for (const BranchEnding ending : {BranchEnding::kPrepare, BranchEnding::kCommitOnePhase}) {
    const BranchWork work = resource().add(2, 5, ending);
    EXPECT_EQ(code_of(resource().connect()->run_branch(work)), ErrorCode::kNotDurable);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_FALSE(lists(*fresh, work.start.id));
  }
  BranchWork careless = resource().add(2, 5, BranchEnding::kCommitOnePhase);
  careless.durability_required = false;
  commit(*resource().connect(), careless);
  EXPECT_EQ(resource().balance(2), "105");
}

// [T9] Attack 4: a COMMIT that is not yet durable goes on when its client is lost. Meanwhile the branch is listed, its row is
// not seen, an insert at its key waits; who finishes it again is told that it is busy (Postgres), or waits and is told that
// there is no such branch (MySQL), although it was committed.
class SlowCommit : public ServerBehaviourTest {
 protected:
  SlowCommit() { binary_log_ = true; }
  // A prepared branch that any session may end.
  BranchWork prepared() {
    BranchWork work = resource().add(1, 5);
    const Connection preparer = resource().connect();
    EXPECT_TRUE(ended_as<Prepared>(preparer->run_branch(work)));
    resource().kill(preparer->session_identity());
    return work;
  }
};
TROTH_BEHAVES(SlowCommit);

TEST_P(SlowCommit, OfALostConnectionGoesOn) {
  const Connection control = resource().connect();
  const Connection third = resource().connect({.patience = 60s});
  const BranchWork work = prepared();
  resource().slow_commits();
  const Connection zombie = resource().connect({.may_leave = true});
  auto committing = resource().start(*zombie, FinishPrepared{work.start.id, PreparedEnding::kCommit});
  resource().wait_until_flushing(zombie->session_identity());
  resource().leave(*zombie, /*silently=*/false);
  auto barrier = resource().start(*third, InsertBarrier{work.start.id, {1}, 60s});
  const bool listed = lists(*control, work.start.id);
  const auto rows = control->read_markers(work.start.id, std::nullopt);
  const std::string again = outcome_of(control->finish_prepared(work.start.id, PreparedEnding::kRollBack));
  EXPECT_TRUE(listed);
  ASSERT_TRUE(rows.has_value());
  EXPECT_TRUE(rows->empty());
  EXPECT_EQ(again, resource().is_postgres() ? "xid tied" : "unknown xid");
  const auto lost = Resource::get<Answer<void>>(committing);
  EXPECT_EQ(outcome_of(lost), "connection lost");
  EXPECT_EQ(outcome_of(Resource::get<Answer<void>>(barrier)), "duplicate key");
  EXPECT_EQ(resource().marker(work.start.id), "committed");
  EXPECT_EQ(resource().balance(1), "105");
}

// [T11] A session that is ended in the middle of it has been through it when it is gone.
TEST_P(SlowCommit, OfASessionThatIsEndedGoesOn) {
  const Connection control = resource().connect();
  const BranchWork work = prepared();
  resource().slow_commits();
  const Connection ended = resource().connect();
  auto committing = resource().start(*ended, FinishPrepared{work.start.id, PreparedEnding::kCommit});
  resource().wait_until_flushing(ended->session_identity());
  resource().wait_until([&] { return control->end_session(ended->session_identity()).value_or(false); });
  EXPECT_FALSE(lists(*control, work.start.id));
  EXPECT_EQ(resource().marker(work.start.id), "committed");
  const std::string told = outcome_of(Resource::get<Answer<void>>(committing));
  EXPECT_TRUE(told == "done" || told == "connection lost") << told;
}

TEST_P(SlowCommit, PrepareOfASessionThatIsEndedGoesOn) {
  const Connection control = resource().connect();
  resource().slow_commits();
  const Connection ended = resource().connect();
  const BranchWork work = resource().work({});
  const AddToAccount word{.amount = 5, .id = 1};
  ASSERT_TRUE(ended_as<StatementDone>(ended->run_statement(work, resource().open_statement(word, 1, true))));
  auto preparing = resource().start(*ended, PrepareOpen{work, /*marked=*/true, /*hold=*/false});
  resource().wait_until_flushing(ended->session_identity());
  resource().wait_until([&] { return control->end_session(ended->session_identity()).value_or(false); });
  EXPECT_TRUE(lists(*control, work.start.id));
  const auto told = Resource::get<WorkResult>(preparing);
  if (const auto* lost = std::get_if<Lost>(&told.outcome); lost != nullptr) {
    EXPECT_TRUE(lost->ending_sent);
  } else {
    EXPECT_TRUE(ended_as<Prepared>(told));
  }
  EXPECT_TRUE(control->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(resource().balance(1), "100");
}

// Nor does anything interrupt it. A yes that comes of it is taken back.
TEST_P(SlowCommit, IsNotInterrupted) {
  const BranchWork work = prepared();
  resource().slow_commits();
  const Connection committer = resource().connect();
  auto committing = resource().start(*committer, FinishPrepared{work.start.id, PreparedEnding::kCommit});
  resource().wait_until_flushing(committer->session_identity());
  committer->cancellation()->request();
  committer->cancellation()->interrupt();
  EXPECT_EQ(outcome_of(Resource::get<Answer<void>>(committing)), "done");
  EXPECT_EQ(resource().marker(work.start.id), "committed");

  const Connection session = resource().connect();
  const BranchWork late = resource().work({});
  const AddToAccount word{.amount = 5, .id = 2};
  ASSERT_TRUE(
      ended_as<StatementDone>(session->run_statement(late, resource().open_statement(word, 1, true))));
  auto preparing = resource().start(*session, PrepareOpen{late, /*marked=*/true, /*hold=*/false});
  resource().wait_until_flushing(session->session_identity());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  EXPECT_EQ(code_of(Resource::get<WorkResult>(preparing)), ErrorCode::kTimeout);
  const Connection fresh = resource().connect();
  EXPECT_FALSE(lists(*fresh, late.start.id));
  EXPECT_EQ(resource().balance(2), "100");
}

// Nobody can tell which it is; but it is one of them, and a third does not exist.
TEST_P(SlowCommit, ThatACrashMeetsIsDoneOrIsStillPrepared) {
  const BranchWork work = prepared();
  resource().slow_commits();
  const Connection committer = resource().connect();
  auto committing = resource().start(*committer, FinishPrepared{work.start.id, PreparedEnding::kCommit});
  resource().wait_until_flushing(committer->session_identity());
  resource().crash();
  const std::string told = outcome_of(Resource::get<Answer<void>>(committing));
  const Connection fresh = resource().connect();
  const bool listed = lists(*fresh, work.start.id);
  EXPECT_EQ(resource().marker(work.start.id), listed ? "" : "committed");
  EXPECT_EQ(resource().balance(1), listed ? "100" : "105");
  EXPECT_FALSE(listed && told == "done");
  EXPECT_EQ(outcome_of(fresh->finish_prepared(work.start.id, PreparedEnding::kCommit)),
            listed ? "done" : "unknown xid");
  EXPECT_EQ(resource().balance(1), "105");
}

// Attack 46: a standby that was behind has become the server. Postgres' timeline rises; MySQL's is another server, whose
// GTIDs lack what the old one had.
class Promotion : public ServerBehaviourTest {};
TROTH_BEHAVES_ON(Promotion, DatabaseKind::kPostgres, DatabaseKind::kMysql);

TEST_P(Promotion, LosesWhatTheStandbyLackedUnderAnotherName) {
  Connection session = resource().connect();
  const BranchWork prepared = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(prepared)));
  resource().back_up();
  session = resource().connect();
  EXPECT_TRUE(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit).has_value());
  const Answer<ServerRow> known = session->read_server({});
  ASSERT_TRUE(known.has_value());
  resource().promote();

  session = resource().connect();
  const Answer<ServerRow> row = session->read_server(known->gtid);
  ASSERT_TRUE(row.has_value()) << row.error().error.message;
  EXPECT_FALSE(row->read_only);
  if (resource().is_postgres()) {
    EXPECT_EQ(row->server, known->server);
    EXPECT_EQ(row->timeline, known->timeline + 1);
  } else {
    EXPECT_NE(row->server, known->server);
    EXPECT_EQ(row->holds_known_gtid, false);
  }
  EXPECT_TRUE(lists(*session, prepared.start.id)) << "what was committed is prepared again";
  EXPECT_TRUE(session->finish_prepared(prepared.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  if (!resource().is_postgres()) {
    const Answer<ServerRow> later = session->read_server(row->gtid);
    ASSERT_TRUE(later.has_value());
    EXPECT_EQ(later->holds_known_gtid, true) << "it only grows from here";
    EXPECT_NE(later->gtid, row->gtid);
  }
}

// Postgres has so many slots for prepared transactions (deploy/throwaway/postgres.py); without a free one the branch is
// gone, and says so.
class PreparedSlots : public ServerBehaviourTest {};
TROTH_BEHAVES_ON(PreparedSlots, DatabaseKind::kPostgres);

TEST_P(PreparedSlots, BranchWithoutAFreeOneIsRefused) {
  constexpr std::int64_t kSlots = 200;
  const Connection session = resource().connect();
  std::vector<BranchWork> works;
  for (std::int64_t i = 0; i < kSlots; ++i) {
    works.push_back(resource().work({InsertAccount{.id = 1'000 + i, .balance = 1}}));
    ASSERT_TRUE(ended_as<Prepared>(session->run_branch(works.back()))) << i;
  }
  const BranchWork refused = resource().add(1, 5);
  EXPECT_EQ(code_of(session->run_branch(refused)), ErrorCode::kOverloaded);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  EXPECT_EQ(outcome_of(session->insert_barrier(refused.start.id, {1}, 200ms)), "done");
  ASSERT_TRUE(session->finish_prepared(works.front().start.id, PreparedEnding::kRollBack).has_value());
  const BranchWork next = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(next)));
  EXPECT_TRUE(session->finish_prepared(next.start.id, PreparedEnding::kCommit).has_value());
}

// MariaDB with a binary log (10.11.19, sync_binlog = 1, innodb_flush_log_at_trx_commit = 1): XA COMMIT .. ONE PHASE is
// acknowledged, and a crash behind it finds the branch *prepared*, until some later write has reached the disk. It is not
// lost, but somebody must commit it: nobody can have been told that it did not happen, for no barrier goes past its marker.
// Without the log, and on MySQL and Postgres, it is committed; as is one of two phases everywhere.
class OnePhaseCommit : public ServerBehaviourTest {
 protected:
  OnePhaseCommit() { binary_log_ = true; }
};
TROTH_BEHAVES(OnePhaseCommit);

TEST_P(OnePhaseCommit, MayComeBackPreparedFromACrash) {
  const Connection session = resource().connect();
  const BranchWork work = resource().add(1, 5, BranchEnding::kCommitOnePhase);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(work)));
  EXPECT_EQ(resource().balance(1), "105");
  resource().crash();
  const Connection fresh = resource().connect();
  const bool listed = lists(*fresh, work.start.id);
  EXPECT_FALSE(listed && !resource().ties());
  EXPECT_EQ(resource().marker(work.start.id), listed ? "" : "committed");
  EXPECT_EQ(outcome_of(fresh->insert_barrier(work.start.id, {1}, 200ms)),
            listed ? "lock timeout" : "duplicate key");
  EXPECT_EQ(outcome_of(fresh->finish_prepared(work.start.id, PreparedEnding::kCommit)),
            listed ? "done" : "unknown xid");
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().marker(work.start.id), "committed");
}

}  // namespace
}  // namespace troth::sim
