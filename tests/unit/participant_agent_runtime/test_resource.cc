#include "tests/unit/participant_agent_runtime/test_resource.h"

#include <cstdlib>
#include <fstream>
#include <pqxx/pqxx>
#include <random>
#include <sstream>
#include <thread>

#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/check.h"
#include "participant_agent/dialect/schema.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

const ClusterId kCluster{"test-000001"};

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::string content = text.str();
  while (content.ends_with('\n'))
    content.pop_back();
  return content;
}

std::optional<ConnectOptions> administrator_of(DatabaseKind kind, const std::string& path) {
  const auto file = nlohmann::json::parse(read_file(path));
  for (const auto& server : file.at("servers")) {
    if (server.at("kind") != std::string(name_of(kind))) continue;
    ConnectOptions options;
    options.host = server.at("host");
    options.port = server.at("port");
    options.user = server.at("admin");
    options.password = read_file(server.at("password_file"));
    options.database = server.at("database");
    const std::string socket = server.at("socket");
    const bool in_directory = kind == DatabaseKind::kPostgres;
    options.socket = in_directory ? socket.substr(0, socket.rfind('/')) : socket;
    return options;
  }
  return std::nullopt;
}

}  // namespace

// The drivers as they are: what the administrator runs is no concern of the code under test.
struct TestResource::Administrator {
  virtual ~Administrator() = default;
  virtual TextRows rows(const std::string& sql) = 0;
};

namespace {

template <typename Base>
struct PostgresAdministrator final : Base {
  explicit PostgresAdministrator(const ConnectOptions& options)
      : connection(fmt::format("host={} port={} user={} password={} dbname={}", options.host, options.port,
                               options.user, options.password.value(), options.database)),
        texts(connection) {}

  TextRows rows(const std::string& sql) override {
    TextRows copies;
    for (const auto& row : texts.exec(sql)) {
      TextRow& copy = copies.emplace_back();
      for (const auto& field : row)
        copy.push_back(field.is_null() ? std::nullopt : std::optional(std::string(field.c_str())));
    }
    return copies;
  }

  pqxx::connection connection;
  pqxx::nontransaction texts;
};

template <typename Base>
struct MysqlAdministrator final : Base {
  explicit MysqlAdministrator(const ConnectOptions& options) {
    sql::ConnectOptionsMap map;
    map["hostName"] = sql::SQLString(fmt::format("tcp://{}:{}", options.host, options.port));
    map["userName"] = sql::SQLString(options.user);
    map["password"] = sql::SQLString(options.password.value());
    map["schema"] = sql::SQLString(options.database);
    connection.reset(get_driver_instance()->connect(map));
    statement.reset(connection->createStatement());
  }

  TextRows rows(const std::string& sql) override {
    TextRows copies;
    if (!statement->execute(sql)) return copies;
    const std::unique_ptr<sql::ResultSet> result(statement->getResultSet());
    const unsigned columns = result->getMetaData()->getColumnCount();
    while (result->next()) {
      TextRow& copy = copies.emplace_back();
      for (unsigned column = 1; column <= columns; ++column)
        copy.push_back(result->isNull(column) ? std::nullopt
                                              : std::optional(std::string(result->getString(column))));
    }
    return copies;
  }

  std::unique_ptr<sql::Connection> connection;
  std::unique_ptr<sql::Statement> statement;
};

}  // namespace

std::unique_ptr<TestResource> TestResource::create(DatabaseKind kind) {
  const char* servers = std::getenv("TROTH_TEST_DATABASES");
  return servers == nullptr ? nullptr : create(kind, servers);
}

std::unique_ptr<TestResource> TestResource::create(DatabaseKind kind, const std::string& servers) {
  std::optional<ConnectOptions> administrator = administrator_of(kind, servers);
  if (!administrator.has_value()) return nullptr;
  std::random_device entropy;
  const std::string name = fmt::format("t{}_{:08x}", getpid(), entropy());
  std::unique_ptr<TestResource> resource(new TestResource(kind, std::move(*administrator), name));
  resource->install();
  return resource;
}

TestResource::TestResource(DatabaseKind kind, ConnectOptions administrator, std::string name)
    : kind_(kind), name_(std::move(name)), administrator_options_(std::move(administrator)) {}

void TestResource::administrate(const std::string& database) {
  ConnectOptions options = administrator_options_;
  options.database = database;
  if (is_postgres()) {
    administrator_ = std::make_unique<PostgresAdministrator<Administrator>>(options);
  } else {
    administrator_ = std::make_unique<MysqlAdministrator<Administrator>>(options);
  }
}

void TestResource::connect_administrator() {
  administrate(name_);
}

void TestResource::install() {
  administrate(administrator_options_.database);
  run(fmt::format("CREATE DATABASE {}", name_));
  if (is_postgres()) {
    run(fmt::format("CREATE ROLE {} LOGIN PASSWORD 'a secret'", name_));
  } else {
    run(fmt::format("CREATE USER '{}'@'%' IDENTIFIED BY 'a secret'", name_));
  }
  administrate(name_);
  const InstallOptions install{
      .role = name_, .role_host = "%", .database = name_, .installation = "0123456789abcdef"};
  for (const std::string& text : install_texts(kind_, install))
    run(text);
  run("CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL, "
      "CONSTRAINT never_negative CHECK (balance >= 0))");
  run("INSERT INTO accounts VALUES (1, 100), (2, 100), (3, 100)");
  if (is_postgres()) {
    run(fmt::format("GRANT ALL ON ALL TABLES IN SCHEMA public TO {0}; GRANT CREATE ON SCHEMA public TO {0}",
                    name_));
  } else {
    run(fmt::format("GRANT ALL ON {0}.* TO '{0}'@'%'", name_));
  }

  options_ = administrator_options_;
  options_.socket.clear();
  options_.user = name_;
  options_.password = std::string("a secret");
  options_.database = name_;
  options_.settings = {.application_name = "troth-test", .lock_wait_timeout = 1s};
  owner_ = {.agent = {"test-agent"}, .incarnation = {1}, .nonce = {7}, .counter = 0};
  const auto connection = connect();
  const Answer<bool> claimed = connection->claim_owner({}, owner_);
  CHECK(claimed.has_value() && *claimed, "the owner row could not be claimed");
}

// XIDs are the server's, not the schema's: every process of tests has an epoch of its own.
static EpochNumber own_epoch() {
  return {static_cast<std::uint32_t>(getpid())};
}

std::size_t TestResource::prepared_here(const PreparedList& list) {
  return static_cast<std::size_t>(std::ranges::count(
      list.branches, own_epoch(), [](const PreparedRow& row) { return row.branch.transaction.epoch; }));
}

TestResource::~TestResource() {
  // A test that failed may leave branches and sessions: they would keep the database from going.
  if (auto connection = connect(); connection != nullptr) {
    if (const auto others = connection->list_role_sessions(); others.has_value()) {
      for (const RoleSession& other : *others) {
        const SessionIdentity session{.connection = other.connection,
                                      .server_start = connection->session_identity().server_start};
        static_cast<void>(holds_within(5s, [&] { return connection->end_session(session).value_or(true); }));
      }
    }
    if (const auto prepared = connection->list_prepared(); prepared.has_value())
      for (const PreparedRow& row : prepared->branches)
        // XIDs are the server's: those of another process's test, beside this one, are not this one's to end.
        if (row.branch.transaction.cluster == kCluster && row.branch.transaction.epoch == own_epoch())
          static_cast<void>(connection->finish_prepared(row.branch, PreparedEnding::kRollBack));
  }
  try {
    if (is_postgres()) {
      PostgresAdministrator<Administrator> administrator(administrator_options_);
      administrator_.reset();
      administrator.rows(fmt::format("DROP DATABASE {} WITH (FORCE)", name_));
      administrator.rows(fmt::format("DROP ROLE {}", name_));
    } else {
      run(fmt::format("DROP DATABASE {}", name_));
      run(fmt::format("DROP USER '{}'@'%'", name_));
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << "the test's database could not be dropped: " << error.what();
  }
}

void TestResource::run(const std::string& sql) {
  static_cast<void>(administrator_->rows(sql));
}

TextRows TestResource::rows(const std::string& sql) {
  return administrator_->rows(sql);
}

std::string TestResource::value(const std::string& sql) {
  const TextRows all = rows(sql);
  return all.empty() ? std::string() : all.front().at(0).value_or("NULL");
}

std::string TestResource::balance(int account) {
  return value(fmt::format("SELECT balance FROM accounts WHERE id = {}", account));
}

std::size_t TestResource::sessions() {
  return std::stoul(value(
      is_postgres()
          ? fmt::format("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", name_)
          : fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{}'", name_)));
}

void TestResource::kill(const SessionIdentity& session) {
  const auto id = session.connection.value;
  if (is_postgres()) {
    run(fmt::format("SELECT pg_terminate_backend({})", id));
  } else {
    run(fmt::format("KILL CONNECTION {}", id));
  }
  const std::string count =
      is_postgres() ? fmt::format("SELECT count(*) FROM pg_stat_activity WHERE pid = {}", id)
                    : fmt::format("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {}", id);
  CHECK(holds_within(10s, [&] { return value(count) == "0"; }), "session {} does not go", id);
}

// InnoDB's table of transactions is a copy, made anew only when nobody has looked for a tenth of a second: tests beside
// each other keep it old for ever. Its report is made for each question.
bool TestResource::waits_for_lock(const SessionIdentity& session) {
  const auto id = session.connection.value;
  if (is_postgres())
    return value(fmt::format(
               "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event_type = 'Lock'", id)) !=
           "0";
  const TextRows report = rows("SHOW ENGINE INNODB STATUS");
  const std::string text = report.at(0).at(2).value_or("");
  const std::string of_it = fmt::format("thread id {},", id);
  constexpr std::string_view kTransaction = "---TRANSACTION ";
  for (auto from = text.find(kTransaction); from != std::string::npos;) {
    const auto next = text.find(kTransaction, from + 1);
    const auto section = std::string_view(text).substr(from, next - from);
    if (section.contains(of_it)) return section.contains("LOCK WAIT");
    from = next;
  }
  return false;
}

void TestResource::wait_until_blocked(const SessionIdentity& session) {
  EXPECT_TRUE(holds_within(
      10s, [&] { return waits_for_lock(session); }, 5ms))
      << "the session never waited for a lock";
}

// By what the server says that it does: its text is shown while it is prepared, too.
std::string TestResource::sleepers() const {
  return is_postgres()
             ? fmt::format("SELECT pid FROM pg_stat_activity WHERE usename = '{}' AND wait_event = 'PgSleep'",
                           name_)
             : fmt::format(
                   "SELECT id FROM information_schema.processlist WHERE user = '{}' AND state = 'User sleep'",
                   name_);
}

void TestResource::wait_until_asleep(const SessionIdentity& session) {
  const std::string query =
      fmt::format("{} AND {} = {}", sleepers(), is_postgres() ? "pid" : "id", session.connection.value);
  EXPECT_TRUE(holds_within(10s, [&] { return !value(query).empty(); })) << "the session never slept";
}

SessionIdentity TestResource::sleeper() {
  std::string found;
  EXPECT_TRUE(holds_within(10s, [&] { return !(found = value(sleepers())).empty(); })) << "no session slept";
  return {.connection = {found.empty() ? 0 : std::stoull(found)}, .server_start = {}};
}

std::unique_ptr<DatabaseConnection> TestResource::connect() const {
  return connect(options_);
}

std::unique_ptr<DatabaseConnection> TestResource::connect(const ConnectOptions& options) const {
  auto connection = connect_to(kind_, options);
  if (!connection.has_value()) {
    ADD_FAILURE() << connection.error().message;
    return nullptr;
  }
  return std::move(*connection);
}

BranchWork TestResource::work(std::vector<Statement> statements, BranchEnding ending) {
  const EpochNumber epoch = own_epoch();
  BranchWork work;
  work.start.id = {
      .transaction = {.cluster = kCluster, .epoch = epoch, .sequence = {++last_sequence_}, .one_phase = {}},
      .branch = {1}};
  work.start.epoch = epoch;
  work.statements = std::move(statements);
  work.ending = ending;
  work.one_trip = one_trip_;
  work.mine = owner_;
  return work;
}

BranchWork TestResource::transfer(int account, std::int64_t amount, BranchEnding ending) {
  Statement update = statement("UPDATE accounts SET balance = balance + ? WHERE id = ?",
                               {{amount}, {std::int64_t{account}}});
  update.expect_rows = ExpectRows{.rule = ExpectRows::Rule::kExactly, .rows = 1};
  return work({std::move(update)}, ending);
}

Statement TestResource::statement(const std::string& sql, std::vector<Value> parameters) const {
  Statement statement{.sql = {}, .parameters = std::move(parameters), .expect_rows = {}};
  int number = 0;
  for (const char c : sql) {
    if (c == '?' && is_postgres()) {
      statement.sql += fmt::format("${}", ++number);
    } else {
      statement.sql += c;
    }
  }
  return statement;
}

std::string TestResource::marker(const BranchId& branch) {
  return value(
      fmt::format("SELECT state FROM {}troth_branch WHERE epoch = {} AND sequence = {} AND branch = {}",
                  is_postgres() ? "troth." : "", branch.transaction.epoch.value,
                  branch.transaction.sequence.value, branch.branch.value));
}

std::string describe(const WorkResult& result) {
  struct Describer {
    std::string operator()(const Refused& refused) const {
      return fmt::format("refused ({}): {}", name_of(refused.error.code), refused.error.message);
    }
    std::string operator()(const Prepared&) const { return "prepared"; }
    std::string operator()(const ReadOnlyDone&) const { return "read-only"; }
    std::string operator()(const CommittedOnePhase&) const { return "committed"; }
    std::string operator()(const StatementDone&) const { return "statement done"; }
    std::string operator()(const MarkerTaken& taken) const {
      return fmt::format("marker taken, {} rows", taken.rows.size());
    }
    std::string operator()(const Lost& lost) const {
      return fmt::format("lost ({}): {}", lost.ending_sent ? "ending sent" : "ending not sent",
                         lost.error.message);
    }
  };
  return std::visit(Describer{}, result.outcome);
}

Error refusal_of(const WorkResult& result) {
  if (const auto* refused = std::get_if<Refused>(&result.outcome)) return refused->error;
  ADD_FAILURE() << "not refused: " << describe(result);
  return {};
}

}  // namespace troth::agent
