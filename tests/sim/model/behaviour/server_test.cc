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

// [T9] Attack 4: a COMMIT that is not yet durable goes on when its client is lost. Meanwhile the branch is listed, its row is
// not seen, an insert at its key waits; who finishes it again is told that it is busy (Postgres), or waits and is told that
// there is no such branch (MySQL), although it was committed. MariaDB has such a window only with a binary log, which these
// servers have not.
class SlowCommit : public ServerBehaviourTest {};
TROTH_BEHAVES_ON(SlowCommit, DatabaseKind::kPostgres, DatabaseKind::kMysql);

TEST_P(SlowCommit, OfALostConnectionGoesOn) {
  const Connection preparer = resource().connect();
  const Connection control = resource().connect();
  const Connection third = resource().connect({.patience = 60s});
  const BranchWork work = resource().add(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(preparer->run_branch(work)));
  resource().slow_commits();
  const Connection zombie = resource().connect({.may_leave = true});
  auto committing = resource().start(*zombie, FinishPrepared{work.start.id, PreparedEnding::kCommit});
  resource().wait_until_busy(zombie->session_identity());
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

}  // namespace
}  // namespace troth::sim
