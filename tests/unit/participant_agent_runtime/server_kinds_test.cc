// What only one kind of server does: tied and detached branches, deferred constraints, identity,
// installation.
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "participant_agent/dialect/schema.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

using MariadbTest = DatabaseTest;
INSTANTIATE_TEST_SUITE_P(Databases, MariadbTest, testing::Values(DatabaseKind::kMariadb), kind_name);
using MysqlTest = DatabaseTest;
INSTANTIATE_TEST_SUITE_P(Databases, MysqlTest, testing::Values(DatabaseKind::kMysql), kind_name);
using PostgresTest = DatabaseTest;
TROTH_FOR_POSTGRES(PostgresTest);
using ServerTest = DatabaseTest;
TROTH_FOR_EVERY_DATABASE(ServerTest);

// [T9] Attack 4: while the session that prepared it lives, every other one is told that there is no such
// branch.
TEST_P(MariadbTest, BranchIsUnknownToOthersWhileItsSessionLives) {
  const auto tied = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  const WorkResult result = tied->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_TRUE(std::get<Prepared>(result.outcome).tied);
  EXPECT_EQ(tied->condition(), ConnectionCondition::kTied);

  const auto other = resource().connect();
  const Answer<void> refused = other->finish_prepared(work.start.id, PreparedEnding::kCommit);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().meaning, Meaning::kUnknownXid);
  EXPECT_EQ(refused.error().error.vendor_code, 1397);
  EXPECT_TRUE(tied->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(tied->condition(), ConnectionCondition::kIdle);
  EXPECT_EQ(resource().balance(1), "105");
}

// Attack 29: a half-open session keeps its branch hostage until it is ended by its number.
TEST_P(MariadbTest, HostageIsFreedByEndingTheSessionThatHoldsIt) {
  const auto half_open = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  const WorkResult result = half_open->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));

  const auto successor = resource().connect();
  EXPECT_FALSE(successor->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  ASSERT_TRUE(holds_within(10s, [&] { return successor->end_session(result.session).value_or(false); }));
  EXPECT_TRUE(holds_within(
      10s, [&] { return successor->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value(); }));
  EXPECT_EQ(resource().balance(1), "105");
}

TEST_P(MariadbTest, TiedSessionRunsNothingElseAndIsClosedIfInDoubt) {
  const auto tied = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT @teller := 'eve'"));
  ASSERT_TRUE(ended_as<Prepared>(tied->run_branch(work)));
  EXPECT_EQ(refusal_of(tied->run_branch(resource().transfer(2, 5))).code, ErrorCode::kBusy);
  ASSERT_TRUE(tied->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(tied->condition(), ConnectionCondition::kDoubtful);
}

TEST_P(MysqlTest, SessionThatPreparedOneBranchRunsTheNext) {
  const auto session = resource().connect();
  const BranchWork first = resource().transfer(1, 5);
  const BranchWork second = resource().transfer(2, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(first)));
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(second)));
  const auto other = resource().connect();
  EXPECT_TRUE(other->finish_prepared(second.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_TRUE(other->finish_prepared(first.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().balance(2), "105");
}

TEST_P(MysqlTest, ServerOfTheOtherKindIsRefused) {
  const auto connection = connect_to(DatabaseKind::kMariadb, resource().options());
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(connection.error().message.find("not mariadb"), std::string::npos) << connection.error().message;
}

// A deferred constraint fires at PREPARE TRANSACTION: a clean no.
TEST_P(PostgresTest, DeferredConstraintIsANoAtPrepare) {
  resource().run(
      "CREATE TABLE places (id int PRIMARY KEY, place int CONSTRAINT one_each UNIQUE DEFERRABLE INITIALLY "
      "DEFERRED)");
  resource().run(fmt::format("GRANT ALL ON places TO {}", resource().options().user));
  const auto session = resource().connect();
  for (const BranchEnding ending : {BranchEnding::kPrepare, BranchEnding::kCommitOnePhase}) {
    const BranchWork work =
        resource().work({resource().statement("INSERT INTO places VALUES (1, 7), (2, 7)")}, ending);
    const Error error = refusal_of(session->run_branch(work));
    EXPECT_EQ(error.code, ErrorCode::kStatementFailed);
    EXPECT_EQ(error.sqlstate, "23505");
    EXPECT_EQ(error.effect, Effect::kNone);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_TRUE(session->clean_up());
  }
}

// Attacks 34 and 51: whatever a statement set, the branch is prepared or committed with a durable commit.
TEST_P(PostgresTest, DurabilityIsSetAgainBehindTheStatements) {
  resource().run(
      "CREATE TABLE seen (setting text); "
      "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
      "INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$; "
      "CREATE CONSTRAINT TRIGGER look AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION look()");
  resource().run(fmt::format("GRANT ALL ON seen TO {}", resource().options().user));
  const auto session = resource().connect();
  for (const BranchEnding ending : {BranchEnding::kPrepare, BranchEnding::kCommitOnePhase}) {
    BranchWork work = resource().transfer(1, 5, ending);
    work.statements.push_back(resource().statement("SELECT set_config('synchronous_commit', 'off', false)"));
    const WorkResult result = session->run_branch(work);
    if (ending == BranchEnding::kPrepare) {
      ASSERT_TRUE(ended_as<Prepared>(result));
      ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    } else {
      ASSERT_TRUE(ended_as<CommittedOnePhase>(result));
    }
  }
  EXPECT_EQ(resource().value("SELECT string_agg(setting, ' ') FROM seen"), "on on");
}

// Attack 3: what is read of a server tells it from another and from its own past; no transaction number is
// asked.
TEST_P(ServerTest, IdentityTellsTheServerAndItsOwner) {
  const auto session = resource().connect();
  ASSERT_TRUE(session->raise_counter(resource().owner(), 1).value_or(false));
  const Answer<ServerRow> row = session->read_server("");
  ASSERT_TRUE(row.has_value()) << row.error().error.message;
  EXPECT_FALSE(row->server.empty());
  EXPECT_FALSE(row->read_only);
  EXPECT_EQ(row->cannot_prepare, "");
  EXPECT_EQ(row->installation, "0123456789abcdef");
  EXPECT_EQ(row->schema_version, kSchemaVersion);
  EXPECT_TRUE(row->owner.same_owner(resource().owner()));
  // Attack 46: a restored server would show a lower one.
  EXPECT_EQ(row->owner.counter, 1U);
  EXPECT_TRUE(same_start(row->started, session->session_identity().server_start));
  EXPECT_EQ(session->read_server("").value().server, row->server);
}

TEST_P(ServerTest, InstallationCanBeRepeatedAndTakenAway) {
  ConnectOptions administrator = resource().options();
  const InstallOptions options{.role = administrator.user,
                               .role_host = "%",
                               .database = administrator.database,
                               .installation = "ffffffffffffffff"};
  for (const std::string& text : install_texts(GetParam(), options))
    resource().run(text);
  const auto session = resource().connect();
  EXPECT_EQ(session->read_server("").value().installation, "0123456789abcdef");
  for (const std::string& text : uninstall_texts(GetParam(), options))
    resource().run(text);
  const Answer<ServerRow> gone = session->read_server("");
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().meaning, Meaning::kNotInstalled) << gone.error().error.message;
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
}

// Nothing about a failed login tells the password.
TEST_P(ServerTest, FailedLoginNamesThePlaceAndNotThePassword) {
  ConnectOptions options = resource().options();
  options.password = std::string("mistyped-secret");
  const auto connection = connect_to(GetParam(), options);
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().effect, Effect::kNone);
  EXPECT_EQ(connection.error().message.find("mistyped"), std::string::npos) << connection.error().message;
  EXPECT_NE(connection.error().message.find(options.user), std::string::npos);
  EXPECT_NE(connection.error().message.find(std::to_string(options.port)), std::string::npos);

  options = resource().options();
  options.port = 1;
  const auto nobody = connect_to(GetParam(), options);
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(nobody.error().message.find(options.password.value()), std::string::npos);
}

TEST_P(ServerTest, UnixSocketServesAsWell) {
  ConnectOptions options = resource().options();
  options.socket = resource().socket();
  const auto session = resource().connect(options);
  ASSERT_NE(session, nullptr);
  EXPECT_TRUE(ended_as<CommittedOnePhase>(
      session->run_branch(resource().transfer(1, 5, BranchEnding::kCommitOnePhase))));
}

}  // namespace
}  // namespace troth::agent
