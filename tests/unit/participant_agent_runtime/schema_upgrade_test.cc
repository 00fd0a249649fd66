// Troth's tables of version 1, as that release made them, brought to this one's. In version 1 a request stood in a row
// for each branch number, so that it could commit twice in one resource; before version 3 no marker could say that an
// operator committed its branch.
#include <chrono>
#include <exception>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/schema.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRequest = "01890a5dac96774bbcceb302099a8057";

// What `install_texts` of version 1 made of the tables.
Texts version_1(DatabaseKind kind) {
  if (kind == DatabaseKind::kPostgres) {
    const std::string branches =
        "CREATE TABLE troth.troth_branch ("
        "epoch bigint NOT NULL, sequence bigint NOT NULL, branch integer NOT NULL, "
        "transaction text COLLATE \"C\" NOT NULL, client text COLLATE \"C\", request_id uuid, digest bytea, "
        "state text COLLATE \"C\" NOT NULL "
        "CHECK (state IN ('committed', 'local', 'undone', 'barred', 'repaired')), "
        "leader_epoch bigint NOT NULL, created timestamptz NOT NULL DEFAULT now(), "
        "PRIMARY KEY (epoch, sequence, branch, transaction), UNIQUE (client, request_id, branch))";
    const std::string owner =
        "CREATE TABLE troth.troth_owner ("
        "id integer PRIMARY KEY CHECK (id = 1), agent text COLLATE \"C\" NOT NULL, incarnation bigint NOT "
        "NULL, nonce text COLLATE \"C\" NOT NULL, counter bigint NOT NULL, raised timestamptz NOT NULL) "
        "WITH (fillfactor = 10)";
    const std::string floor =
        "CREATE TABLE troth.troth_floor (cluster text COLLATE \"C\" PRIMARY KEY, "
        "epoch bigint NOT NULL, sequence bigint NOT NULL, request_ms bigint NOT NULL)";
    const std::string version =
        "CREATE TABLE troth.troth_schema_version (id integer PRIMARY KEY CHECK (id = 1), version integer NOT "
        "NULL, installation text COLLATE \"C\" NOT NULL, installed timestamptz NOT NULL)";
    return {"CREATE SCHEMA troth",
            branches,
            owner,
            "INSERT INTO troth.troth_owner VALUES (1, 'old', 3, '00000000000000ff', 17, now())",
            floor,
            version,
            "INSERT INTO troth.troth_schema_version VALUES (1, 1, 'aaaaaaaaaaaaaaaa', now())"};
  }
  const std::string exact =
      fmt::format("CHARACTER SET utf8mb4 COLLATE {}",
                  kind == DatabaseKind::kMariadb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin");
  const std::string ascii = "CHARACTER SET ascii COLLATE ascii_bin";
  return {
      fmt::format(
          "CREATE TABLE troth_branch ("
          "epoch INT UNSIGNED NOT NULL, sequence BIGINT UNSIGNED NOT NULL, branch INT UNSIGNED NOT NULL, "
          "transaction VARCHAR(48) {0} NOT NULL, client VARCHAR(64) {1}, request_id BINARY(16), "
          "digest BINARY(32), "
          "state ENUM('committed', 'local', 'undone', 'barred', 'repaired') {0} NOT NULL, "
          "leader_epoch INT UNSIGNED NOT NULL, created DATETIME(6) NOT NULL, "
          "PRIMARY KEY (epoch, sequence, branch, transaction), "
          "UNIQUE KEY troth_request (client, request_id, branch)) ENGINE=InnoDB",
          ascii, exact),
      fmt::format(
          "CREATE TABLE troth_owner (id INT NOT NULL PRIMARY KEY CHECK (id = 1), "
          "agent VARCHAR(64) {} NOT NULL, incarnation BIGINT UNSIGNED NOT NULL, nonce CHAR(16) {} NOT NULL, "
          "counter BIGINT UNSIGNED NOT NULL, raised DATETIME(6) NOT NULL) ENGINE=InnoDB",
          exact, ascii),
      "INSERT INTO troth_owner VALUES (1, 'old', 3, '00000000000000ff', 17, UTC_TIMESTAMP(6))",
      fmt::format("CREATE TABLE troth_floor (cluster VARCHAR(19) {} NOT NULL PRIMARY KEY, "
                  "epoch INT UNSIGNED NOT NULL, sequence BIGINT UNSIGNED NOT NULL, "
                  "request_ms BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
                  ascii),
      fmt::format("CREATE TABLE troth_schema_version (id INT NOT NULL PRIMARY KEY CHECK (id = 1), "
                  "version INT UNSIGNED NOT NULL, installation VARCHAR(64) {} NOT NULL, "
                  "installed DATETIME(6) NOT NULL) ENGINE=InnoDB",
                  ascii),
      "INSERT INTO troth_schema_version VALUES (1, 1, 'aaaaaaaaaaaaaaaa', UTC_TIMESTAMP(6))"};
}

class SchemaUpgradeTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (IsSkipped()) return;
    for (const auto& text : uninstall_texts(GetParam(), options()))
      resource().run(text);
    for (const auto& text : version_1(GetParam()))
      resource().run(text);
    ASSERT_EQ(version(), "1");
  }

  [[nodiscard]] InstallOptions options() {
    return {.role = resource().options().user,
            .role_host = "%",
            .database = resource().options().database,
            .installation = "bbbbbbbbbbbbbbbb"};
  }
  [[nodiscard]] Texts texts() { return install_texts(GetParam(), options()); }
  [[nodiscard]] std::string table(const std::string& name) {
    return (resource().is_postgres() ? "troth." : "") + name;
  }
  [[nodiscard]] std::string version() {
    return resource().value(fmt::format("SELECT version FROM {}", table("troth_schema_version")));
  }
  // The columns of the request's key; of version 1 "client,request_id,branch".
  [[nodiscard]] std::string key() {
    if (!resource().is_postgres()) {
      return resource().value(
          "SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics WHERE "
          "table_schema = DATABASE() AND table_name = 'troth_branch' AND index_name <> 'PRIMARY' AND "
          "non_unique = 0");
    }
    return resource().value(
        "SELECT string_agg((SELECT string_agg(attname, ',' ORDER BY ordinality) FROM unnest(conkey) WITH "
        "ORDINALITY k "
        "JOIN pg_attribute ON attrelid = conrelid AND attnum = k.k), ' and ') FROM pg_constraint "
        "WHERE conrelid = 'troth.troth_branch'::regclass AND contype = 'u'");
  }
  [[nodiscard]] static std::string newest() { return std::to_string(kSchemaVersion); }
  [[nodiscard]] bool knows_resolved() {
    return resource().value(resource().is_postgres()
                                ? "SELECT count(*) FROM pg_constraint WHERE conrelid = "
                                  "'troth.troth_branch'::regclass AND pg_get_constraintdef(oid) LIKE "
                                  "'%resolved%'"
                                : "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = "
                                  "DATABASE() AND table_name = 'troth_branch' AND column_type LIKE "
                                  "'%resolved%'") == "1";
  }
  // A row of Troth's table; the request's digits, or none.
  void row(const std::string& transaction, int sequence, int branch, const std::string& state,
           std::string_view request = {}, const std::string& client = "shop") {
    const auto id = request.empty()            ? std::string("NULL")
                    : resource().is_postgres() ? fmt::format("'{}'", request)
                                               : fmt::format("X'{}'", request);
    resource().run(
        fmt::format("INSERT INTO {} (epoch, sequence, branch, transaction, client, request_id, digest, "
                    "state, leader_epoch, created) "
                    "VALUES (1, {}, {}, '{}', {}, {}, NULL, '{}', 1, {})",
                    table("troth_branch"), sequence, branch, transaction,
                    request.empty() ? std::string("NULL") : fmt::format("'{}'", client), id, state,
                    resource().is_postgres() ? "now()" : "UTC_TIMESTAMP(6)"));
  }
  [[nodiscard]] std::string rows() {
    return resource().value(fmt::format("SELECT count(*) FROM {}", table("troth_branch")));
  }
  // As a client does that stops at the first error; what it says, or nothing.
  std::string install() {
    try {
      for (const auto& text : texts())
        resource().run(text);
    } catch (const std::exception& refused) {
      return refused.what();
    }
    return "";
  }
  void back_to_version_2() {
    const std::string states = "'committed', 'local', 'undone', 'barred', 'repaired'";
    const auto statements =
        resource().is_postgres()
            ? Texts{"ALTER TABLE troth.troth_branch DROP CONSTRAINT IF EXISTS troth_state",
                    "ALTER TABLE troth.troth_branch DROP CONSTRAINT IF EXISTS troth_branch_state_check",
                    fmt::format("ALTER TABLE troth.troth_branch ADD CONSTRAINT troth_branch_state_check "
                                "CHECK (state IN ({}))",
                                states)}
            : Texts{fmt::format("ALTER TABLE troth_branch MODIFY state ENUM({}) CHARACTER SET ascii COLLATE "
                                "ascii_bin NOT NULL",
                                states)};
    for (const auto& text : statements)
      resource().run(text);
    resource().run(fmt::format("UPDATE {} SET version = 2", table("troth_schema_version")));
  }
  void back_to_version_1() {
    back_to_version_2();
    const auto statements =
        resource().is_postgres()
            ? Texts{"ALTER TABLE troth.troth_branch DROP CONSTRAINT IF EXISTS troth_request",
                    "ALTER TABLE troth.troth_branch DROP CONSTRAINT IF EXISTS "
                    "troth_branch_client_request_id_branch_key",
                    "ALTER TABLE troth.troth_branch ADD UNIQUE (client, request_id, branch)"}
            : Texts{
                  "ALTER TABLE troth_branch DROP INDEX troth_request, "
                  "ADD UNIQUE KEY troth_request (client, request_id, branch)"};
    for (const auto& text : statements)
      resource().run(text);
    resource().run(fmt::format("UPDATE {} SET version = 1", table("troth_schema_version")));
  }
};
TROTH_FOR_EVERY_DATABASE(SchemaUpgradeTest);

TEST_P(SchemaUpgradeTest, EveryRowStaysAndTheKeyIsTheRequest) {
  row("test-000001.1.1.s1", 1, 1, "committed", kRequest);
  row("test-000001.1.2", 2, 2, "committed", "01890a5dac96774bbcceb302099a8058");
  row("test-000001.1.3", 3, 1, "barred");
  row("test-000001.1.4", 4, 2, "barred");
  row("test-000001.1.5", 5, 1, "committed", kRequest, "another");
  EXPECT_EQ(key(), "client,request_id,branch");
  for (int run = 1; run <= 2; ++run) {
    EXPECT_EQ(install(), "") << "run " << run;
    EXPECT_EQ(version(), newest());
    EXPECT_EQ(key(), "client,request_id");
    EXPECT_EQ(rows(), "5");
  }
  const auto session = resource().connect();
  const auto server = session->read_server("");
  ASSERT_TRUE(server) << server.error().error.message;
  EXPECT_EQ(server->installation, "aaaaaaaaaaaaaaaa") << "it is the same installation";
  EXPECT_EQ(server->owner, (OwnerRow{{"old"}, {3}, {255}, 17}));

  // And the request that committed as branch 1 does not commit again as branch 2.
  ASSERT_TRUE(session->claim_owner(server->owner, resource().owner()).value_or(false));
  BranchWork again = resource().transfer(1, 5, BranchEnding::kPrepare);
  again.start.id.branch = {2};
  again.start.request = RequestKey{"shop", *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  const WorkResult met = session->run_branch(again);
  ASSERT_TRUE(ended_as<MarkerTaken>(met));
  EXPECT_EQ(std::get<MarkerTaken>(met.outcome).rows.at(0).transaction, "test-000001.1.1.s1");
}

// Whatever was run of it, the version is raised only where the key is there, and the next run brings it to its end.
TEST_P(SchemaUpgradeTest, MayBeBrokenOffBetweenAnyTwoTexts) {
  row("test-000001.1.1.s1", 1, 1, "committed", kRequest);
  for (std::size_t run = 0; run <= texts().size(); ++run) {
    for (std::size_t text = 0; text < run; ++text) {
      resource().run(texts().at(text));
      const auto found = key();
      const bool new_key = found == "client,request_id";
      EXPECT_TRUE(new_key || found == "client,request_id,branch") << found;
      EXPECT_TRUE(version() == "1" || (new_key && knows_resolved()))
          << found << ", version " << version() << " behind: " << texts().at(text);
    }
    EXPECT_EQ(install(), "") << "broken off behind " << run;
    EXPECT_EQ(version(), newest());
    EXPECT_EQ(key(), "client,request_id");
    EXPECT_EQ(rows(), "1");
    back_to_version_1();
  }
}

TEST_P(SchemaUpgradeTest, ATableOfVersion2LearnsThatOperatorsCommit) {
  EXPECT_EQ(install(), "");
  row("test-000001.1.1", 1, 1, "committed", kRequest);
  row("test-000001.1.2", 2, 1, "barred");
  back_to_version_2();
  const BranchId branch{{ClusterId{"test-000001"}, EpochNumber{1}, Sequence{1}, {}}, {1}};
  const auto session = resource().connect();
  EXPECT_FALSE(knows_resolved());
  for (int run = 1; run <= 2; ++run) {
    EXPECT_EQ(install(), "") << "run " << run;
    EXPECT_EQ(version(), newest());
    EXPECT_TRUE(knows_resolved());
  }
  ASSERT_TRUE(session->mark_resolved(branch).has_value());
  EXPECT_EQ(resource().marker(branch), "resolved");
  const BranchId barred{{ClusterId{"test-000001"}, EpochNumber{1}, Sequence{2}, {}}, {1}};
  ASSERT_TRUE(session->mark_resolved(barred).has_value());
  EXPECT_EQ(resource().marker(barred), "barred") << "nobody committed it";
}

// The bug has struck. Nothing is lost, and nobody relies on a key that is not there, not even behind a client that goes
// on after an error, as psql does.
TEST_P(SchemaUpgradeTest, ARequestInTwoRowsStopsIt) {
  row("test-000001.1.1.s1", 1, 1, "committed", kRequest);
  row("test-000001.1.2", 2, 2, "committed", kRequest);
  row("test-000001.1.3", 3, 2, "committed", "01890a5dac96774bbcceb302099a8058");
  EXPECT_NE(install(), "");
  for (const auto& text : texts()) {
    try {
      resource().run(text);
    } catch (const std::exception&) {
      continue;
    }
  }
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(key(), "client,request_id,branch");
  EXPECT_EQ(rows(), "3");

  const auto session = resource().connect();
  const auto found = session->ask_texts(dialect_of(GetParam()).read_unread_calls());
  ASSERT_TRUE(found) << found.error().error.message;
  std::vector<std::string> transactions;
  for (const auto& each : *found) {
    const auto marker = parse_marker(each);
    ASSERT_TRUE(marker) << marker.error().message;
    EXPECT_EQ(marker->request.value_or(RequestKey{}).client, "shop");
    transactions.push_back(marker->transaction);
  }
  EXPECT_EQ(transactions, (std::vector<std::string>{"test-000001.1.1.s1", "test-000001.1.2"}));

  resource().run(
      fmt::format("UPDATE {} SET client = NULL, request_id = NULL WHERE transaction = 'test-000001.1.2'",
                  table("troth_branch")));
  EXPECT_EQ(install(), "");
  EXPECT_EQ(version(), newest());
  EXPECT_EQ(rows(), "3");
  EXPECT_TRUE(session->ask_texts(dialect_of(GetParam()).read_unread_calls())->empty());
}

// A branch in doubt keeps its marker's row, which no other session sees, and the key is not made without it.
TEST_P(SchemaUpgradeTest, ABranchInDoubtStopsItInTime) {
  EXPECT_EQ(install(), "") << "the role's rights";
  back_to_version_1();
  const auto session = resource().connect();
  ASSERT_TRUE(session->claim_owner({{"old"}, {3}, {255}, 17}, resource().owner()).value_or(false));
  BranchWork held = resource().transfer(1, 5);
  held.start.request = RequestKey{"shop", *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(held)));

  const auto began = std::chrono::steady_clock::now();
  EXPECT_NE(install(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(key(), "client,request_id,branch");

  ASSERT_TRUE(session->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(install(), "");
  EXPECT_EQ(version(), newest());
  EXPECT_EQ(resource().marker(held.start.id), "committed");
}

// A second run on tables that are in use, of this version, changes nothing and waits for nothing.
TEST_P(SchemaUpgradeTest, ASecondRunWaitsForNoBranch) {
  EXPECT_EQ(install(), "");
  const auto session = resource().connect();
  ASSERT_TRUE(session->claim_owner({{"old"}, {3}, {255}, 17}, resource().owner()).value_or(false));
  BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(held)));
  EXPECT_EQ(install(), "");
  EXPECT_EQ(version(), newest());
  EXPECT_TRUE(session->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
}

// An older tool's texts leave newer tables as they are, and the tool then refuses them.
TEST_P(SchemaUpgradeTest, ANewerVersionIsNotLowered) {
  EXPECT_EQ(install(), "");
  resource().run(fmt::format("UPDATE {} SET version = 99", table("troth_schema_version")));
  EXPECT_EQ(install(), "");
  EXPECT_EQ(version(), "99");
}

}  // namespace
}  // namespace troth::agent
