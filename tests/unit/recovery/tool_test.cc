// What `troth` says: each scenario is run in text and in JSON, and both are compared with a golden file.
// TROTH_UPDATE_GOLDEN=1 writes the files anew; look at the difference before you commit it.
#include "recovery/runtime/tool.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.h"
#include "tests/support/fake_cluster.h"

namespace troth::recovery {
namespace {

using testing::HasSubstr;

constexpr const char* kGoldenFolder = "tests/unit/recovery/golden/";
constexpr const char* kRequest = "0192f0c1-2b3c-7d4e-8f50-0123456789ab";
constexpr const char* kTransaction = "bank-x7k2p9.3.1042";

struct Ran {
  int code = 0;
  std::string output;
  std::string errors;
};

Ran run(std::vector<std::string> words) {
  std::ostringstream output, errors;
  const int code = run_tool(std::move(words), output, errors);
  return {code, output.str(), errors.str()};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

class ToolTest : public testing::Test {
 protected:
  // With this cluster's coordinator and a fixed operator.
  Ran ask(std::vector<std::string> words) {
    words.insert(words.begin(), {"--coordinator", cluster_.address(), "--operator", "alice"});
    return run(std::move(words));
  }

  std::string transcript(const std::vector<std::string>& words) {
    std::string line = "$ troth";
    for (const auto& word : words)
      line += word.find_first_of(" *$?") == std::string::npos ? " " + word : " '" + word + "'";
    const auto ran = ask(words);
    auto text = line + "\n[exit " + std::to_string(ran.code) + "]\n" + ran.output;
    if (!ran.errors.empty()) text += "[standard error]\n" + ran.errors;
    return replaced(std::move(text), cluster_.address(), "HOST:PORT");
  }

  void expect_golden(const std::string& name, const std::vector<std::string>& words) {
    auto with_json = words;
    with_json.insert(with_json.begin(), "--json");
    const auto actual = transcript(words) + "\n" + transcript(with_json);
    const auto path = kGoldenFolder + name + ".txt";
    if (std::getenv("TROTH_UPDATE_GOLDEN") != nullptr) {
      std::ofstream(path) << actual;
      return;
    }
    std::ifstream file(path);
    std::stringstream expected;
    expected << file.rdbuf();
    EXPECT_EQ(actual, expected.str()) << "see " << path;
  }

  FakeCluster cluster_;
  FakeAnswers& answers_ = cluster_.answers;
};

const std::vector<std::string> kTransfer = {"execute",
                                            "--on",
                                            "accounts_pg",
                                            "UPDATE account SET cents = cents - $1 WHERE id = $2",
                                            "--param",
                                            "int:1000",
                                            "--param",
                                            "int:1",
                                            "--expect-rows",
                                            "1",
                                            "--on",
                                            "accounts_my",
                                            "UPDATE account SET cents = cents + ? WHERE id = ?",
                                            "--param",
                                            "int:1000",
                                            "--param",
                                            "int:2",
                                            "--on",
                                            "accounts_pg",
                                            "SELECT id, note FROM account",
                                            "--request-id",
                                            kRequest};

wire::Value text_value(const std::string& text) {
  wire::Value value;
  value.__set_text(text);
  return value;
}

wire::Value int_value(std::int64_t number) {
  wire::Value value;
  value.__set_int64(number);
  return value;
}

wire::StatementResult affected(std::int64_t rows) {
  wire::StatementResult result;
  result.affected_rows = rows;
  return result;
}

wire::StatementResult selected() {
  wire::StatementResult result;
  wire::Column id, note;
  id.name = "id";
  id.type = "int8";
  note.name = "note";
  note.type = "text";
  result.columns = {id, note};
  wire::Row first, second;
  wire::Value null;
  null.__set_is_null(true);
  first.values = {int_value(1), text_value("two\nlines")};
  second.values = {int_value(22), null};
  result.rows = {first, second};
  result.affected_rows = 2;
  return result;
}

wire::ExecuteResult transferred() {
  wire::ExecuteResult result;
  result.transaction_id = kTransaction;
  result.acknowledged = wire::Acknowledgement::APPLIED;
  wire::BranchResult pg, my;
  pg.resource = "accounts_pg";
  pg.statements = {affected(1), selected()};
  my.resource = "accounts_my";
  my.statements = {affected(1)};
  my.statements[0].__set_generated_key(77);
  result.branches = {pg, my};
  return result;
}

// ---- execute

TEST_F(ToolTest, ExecuteShowsWhatEveryStatementCameTo) {
  answers_.execute = transferred();
  expect_golden("execute_committed", kTransfer);
}

TEST_F(ToolTest, ExecuteSendsEachParameterAndExpectationWithItsStatement) {
  answers_.execute = transferred();
  ASSERT_EQ(ask(kTransfer).code, 0);
  const auto& request = answers_.executed.back();
  ASSERT_EQ(request.branches.size(), 2u) << "statements for one resource are one branch";
  const auto& pg = request.branches[0];
  ASSERT_EQ(pg.statements.size(), 2u);
  EXPECT_EQ(pg.statements[0].parameters[0].int64, 1000);
  EXPECT_EQ(pg.statements[0].parameters[1].int64, 1);
  EXPECT_EQ(pg.statements[0].expect_rows.exactly, 1);
  EXPECT_FALSE(pg.statements[1].__isset.expect_rows);
  EXPECT_TRUE(pg.statements[1].parameters.empty());
  EXPECT_EQ(request.branches[1].statements[0].parameters[1].int64, 2);
  EXPECT_EQ(request.request_id, kRequest);
  EXPECT_EQ(request.client_name, "troth");
  EXPECT_EQ(request.options.acknowledgement, wire::Acknowledgement::APPLIED);
}

TEST_F(ToolTest, ExecutePassesEveryOptionOn) {
  answers_.execute = transferred();
  const auto ran = ask({"execute",
                        "--on",
                        "a",
                        "SELECT 1",
                        "--read-only",
                        "--expect-at-least",
                        "2",
                        "--acknowledge",
                        "decided",
                        "--isolation",
                        "serializable",
                        "--timeout-ms",
                        "5000",
                        "--statement-timeout-ms",
                        "400",
                        "--max-rows",
                        "7",
                        "--label",
                        "l",
                        "--client-name",
                        "c",
                        "--on",
                        "b",
                        "UPDATE t"});
  ASSERT_EQ(ran.code, 0) << ran.errors;
  const auto& request = answers_.executed.back();
  EXPECT_TRUE(request.branches[0].read_only);
  EXPECT_EQ(request.branches[0].statements[0].expect_rows.at_least, 2);
  EXPECT_FALSE(request.branches[1].read_only);
  EXPECT_EQ(request.options.acknowledgement, wire::Acknowledgement::DECIDED);
  EXPECT_EQ(request.options.isolation, wire::Isolation::SERIALIZABLE);
  EXPECT_EQ(request.options.timeout_ms, 5000);
  EXPECT_EQ(request.options.statement_timeout_ms, 400);
  EXPECT_EQ(request.options.max_rows, 7);
  EXPECT_EQ(request.label, "l");
  EXPECT_EQ(request.client_name, "c");
  EXPECT_TRUE(RequestId::parse(request.request_id)) << "made by the tool when none is given";
}

TEST_F(ToolTest, ExecuteSaysThatAnEarlierAttemptCommitted) {
  wire::ExecuteResult result;
  result.transaction_id = kTransaction;
  result.already_committed = true;
  result.acknowledged = wire::Acknowledgement::DECIDED;
  result.pending_resources = {"accounts_my"};
  answers_.execute = result;
  expect_golden("execute_already_committed", kTransfer);
}

TEST_F(ToolTest, ExecuteNamesThePlaceOfARefusal) {
  Error error{.code = ErrorCode::kStatementFailed,
              .effect = Effect::kNone,
              .message = "new row for relation \"account\" violates check constraint \"account_cents_check\"",
              .retryable = false,
              .resource = "accounts_pg",
              .branch = 1,
              .statement = 1,
              .sqlstate = "23514",
              .vendor_code = {},
              .constraint = "account_cents_check",
              .retry_after = {}};
  answers_.execute = std::unexpected(error);
  expect_golden("execute_refused", kTransfer);
}

TEST_F(ToolTest, ExecuteTellsHowToAskWhenTheEffectIsUnknown) {
  answers_.execute =
      fail(ErrorCode::kTimeout, Effect::kUnknown, "the coordinator lost its agent while committing");
  expect_golden("execute_unknown", kTransfer);
}

TEST_F(ToolTest, ALostAnswerIsUnknownNotRefused) {
  answers_.drop_executes = 1;
  const auto ran = ask(kTransfer);
  EXPECT_EQ(ran.code, 3) << ran.errors;
  EXPECT_THAT(ran.errors, HasSubstr(std::string("--request-id ") + kRequest));
}

TEST_F(ToolTest, ExecuteTellsWhenToRetry) {
  Error error{.code = ErrorCode::kOverloaded,
              .effect = Effect::kNone,
              .message = "4096 transactions are open",
              .retryable = true};
  error.retry_after = std::chrono::milliseconds(250);
  answers_.execute = std::unexpected(error);
  expect_golden("execute_overloaded", kTransfer);
}

// ---- status

wire::StatusReply status_of(wire::TransactionState::type state) {
  wire::StatusReply reply;
  reply.state = state;
  reply.__set_transaction_id(kTransaction);
  return reply;
}

TEST_F(ToolTest, StatusShowsEachBranch) {
  auto reply = status_of(wire::TransactionState::COMMITTED);
  reply.__set_label("transfer 17");
  wire::BranchStatus one, two;
  one.resource = "accounts_pg";
  one.branch = 1;
  one.state = "committed";
  two.resource = "accounts_my";
  two.branch = 2;
  two.state = "committing";
  reply.branches = {one, two};
  answers_.status = reply;
  expect_golden("status_committed", {"status", kTransaction});
}

TEST_F(ToolTest, StatusTellsWithItsExitCode) {
  const std::vector<std::pair<wire::TransactionState::type, int>> expected = {
      {wire::TransactionState::COMMITTED, 0},        {wire::TransactionState::NOT_COMMITTED, 1},
      {wire::TransactionState::ACTIVE, 3},           {wire::TransactionState::PREPARING, 3},
      {wire::TransactionState::PENDING, 3},          {wire::TransactionState::UNKNOWN, 3},
      {wire::TransactionState::TOO_OLD, 3},          {wire::TransactionState::HEURISTIC_MIXED, 5},
      {wire::TransactionState::HEURISTIC_COMMIT, 5}, {wire::TransactionState::HEURISTIC_ROLLBACK, 5}};
  for (const auto& [state, code] : expected) {
    answers_.status = status_of(state);
    EXPECT_EQ(ask({"status", kTransaction}).code, code) << state;
  }
}

TEST_F(ToolTest, StatusCanBarARequest) {
  answers_.status = wire::StatusReply{};
  answers_.status->state = wire::TransactionState::NOT_COMMITTED;
  answers_.status->__set_detail("barred: it never will");
  expect_golden("status_barred", {"status", "--request-id", kRequest, "--client-name", "shop", "--bar",
                                  "--resource", "accounts_pg", "--resource", "accounts_my"});
  const auto& request = *answers_.asked_status;
  EXPECT_TRUE(request.bar);
  EXPECT_EQ(request.client_name, "shop");
  EXPECT_EQ(request.bar_resources, (std::vector<std::string>{"accounts_pg", "accounts_my"}));
}

// ---- in-doubt and resources

wire::InDoubtReport open_work() {
  wire::InDoubtReport report;
  wire::OpenTransaction open;
  open.transaction_id = kTransaction;
  open.state = wire::TransactionState::COMMITTED;
  open.age_ms = 7300;
  wire::BranchStatus branch;
  branch.resource = "accounts_my";
  branch.branch = 2;
  branch.state = "committing";
  open.branches = {branch};
  report.transactions = {open};
  wire::InDoubtBranch held;
  held.resource = "accounts_pg";
  held.transaction_id = "bank-x7k2p9.1.5";
  held.branch = 1;
  held.age_ms = 9'000'000;
  held.state = "too old";
  held.waiting_for = "an operator";
  held.__set_database_id("troth1.bank-x7k2p9.1.5.1");
  report.branches = {held};
  report.unreachable_agents = {"my-aaaaaa"};
  return report;
}

TEST_F(ToolTest, InDoubtExplainsWhatIsOpen) {
  answers_.in_doubt = open_work();
  expect_golden("in_doubt", {"in-doubt"});
}

TEST_F(ToolTest, InDoubtSaysThatNothingIs) {
  answers_.in_doubt = wire::InDoubtReport{};
  expect_golden("in_doubt_nothing", {"in-doubt"});
}

TEST_F(ToolTest, InDoubtWithAnUnreachableAgentIsNotAllClear) {
  answers_.in_doubt = wire::InDoubtReport{};
  answers_.in_doubt->unreachable_agents = {"my-aaaaaa"};
  EXPECT_EQ(ask({"in-doubt"}).code, 3);
}

wire::ClusterStatus cluster_status() {
  wire::ClusterStatus status;
  status.cluster = "bank-x7k2p9";
  status.epoch.number = 3;
  status.version = "0.1.0";
  status.open_transactions = 2;
  status.committed = 1041;
  status.aborted = 17;
  status.log_syncs = 300;
  wire::ResourceStatus pg, my;
  pg.name = "accounts_pg";
  pg.number = 1;
  pg.kind = "postgres";
  pg.agent_id = "pg-aaaaaa";
  pg.incarnation = 4;
  pg.address = "127.0.0.1:7402";
  pg.connected = true;
  pg.health.state = "serving";
  pg.health.sessions = 16;
  pg.health.sessions_busy = 3;
  my = pg;
  my.name = "accounts_my";
  my.number = 2;
  my.kind = "mysql";
  my.agent_id = "my-aaaaaa";
  my.address = "127.0.0.1:7403";
  my.health.state = "set back";
  my.health.detail = "server_uuid changed";
  my.health.remedy = "see what was restored; then `troth resource take-over accounts_my`";
  my.health.in_doubt = 1;
  my.health.oldest_in_doubt_ms = 65'000;
  status.resources = {pg, my};
  return status;
}

TEST_F(ToolTest, ResourcesShowHealth) {
  answers_.cluster = cluster_status();
  expect_golden("resources", {"resources"});
}

TEST_F(ToolTest, ResourcesThatAllServeAreWell) {
  answers_.cluster = cluster_status();
  answers_.cluster->resources.pop_back();
  EXPECT_EQ(ask({"resources"}).code, 0);
}

TEST_F(ToolTest, DoctorComparesTheCoordinatorsClockAndRelease) {
  answers_.cluster = cluster_status();
  answers_.cluster->clock_ms = 1'000'000;
  answers_.cluster->version = "0.0.1";
  const auto ran = ask({"--json", "doctor"});
  EXPECT_EQ(ran.code, 5);
  for (const auto* finding :
       {"clock-far-apart", "coordinator-version", "resource-not-serving", "in-doubt-old"})
    EXPECT_THAT(ran.output, HasSubstr("\"finding\": \"" + std::string(finding) + "\"")) << ran.output;
}

TEST_F(ToolTest, DoctorComparesNoClockThatIsNotTold) {
  answers_.cluster = cluster_status();
  EXPECT_THAT(ask({"--json", "doctor"}).output, testing::Not(HasSubstr("clock-far-apart")));
}

// ---- the ways out

TEST_F(ToolTest, ResolveFindsTheResourceAndSendsTheReason) {
  answers_.in_doubt = open_work();
  answers_.status = status_of(wire::TransactionState::TOO_OLD);
  answers_.resolve = wire::ResolveReply{};
  answers_.resolve->state = "committed";
  answers_.resolve->detail = "no decision is on record";
  expect_golden("resolve",
                {"resolve", "bank-x7k2p9.1.5", "--branch", "1", "--commit", "--reason", "ticket 4711"});
  EXPECT_EQ(answers_.resolved->resource, "accounts_pg");
  EXPECT_EQ(answers_.resolved->reason, "ticket 4711");
  EXPECT_EQ(answers_.resolved->operator_name, "alice");
  EXPECT_TRUE(answers_.resolved->commit);
}

// [T3] A decision never changes: what contradicts it must be named.
TEST_F(ToolTest, ResolveAgainstTheDecisionMustBeNamed) {
  answers_.status = status_of(wire::TransactionState::COMMITTED);
  answers_.resolve = wire::ResolveReply{};
  answers_.resolve->state = "rolled back";
  const std::vector<std::string> words = {"resolve",     kTransaction, "--branch", "2",      "--resource",
                                          "accounts_my", "--rollback", "--reason", "because"};
  expect_golden("resolve_against_decision", words);
  EXPECT_FALSE(answers_.resolved) << "nothing was sent";
  auto named = words;
  named.push_back("--against-decision");
  EXPECT_EQ(ask(named).code, 5);
  EXPECT_TRUE(answers_.resolved);
}

TEST_F(ToolTest, ResolveDoesNotTouchWhatStillRuns) {
  answers_.status = status_of(wire::TransactionState::PREPARING);
  const auto ran = ask({"resolve", kTransaction, "--branch", "2", "--resource", "accounts_my", "--rollback",
                        "--reason", "because", "--against-decision"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_FALSE(answers_.resolved);
}

TEST_F(ToolTest, ResolveOfAnUnknownBranchSaysWhereToLook) {
  answers_.in_doubt = wire::InDoubtReport{};
  const auto ran = ask({"resolve", kTransaction, "--branch", "9", "--rollback", "--reason", "because"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("name its resource with --resource"));
}

TEST_F(ToolTest, TakeOverAsksTheAgentThatIsToOwnIt) {
  answers_.take_over = wire::ResourceHealth{};
  answers_.take_over->resource = "accounts_pg";
  answers_.take_over->state = "serving";
  expect_golden("take_over", {"resource", "take-over", "accounts_pg", "--agent", cluster_.address(),
                              "--reason", "the old host is lost"});
  EXPECT_EQ(answers_.taken_over->operator_name, "alice");
}

TEST_F(ToolTest, TakeOverWaitsUntilTheAgentServes) {
  answers_.take_over = wire::ResourceHealth{};
  answers_.take_over->resource = "accounts_pg";
  answers_.take_over->state = "not serving";
  answers_.agent = wire::AgentStatus{};
  answers_.agent->resources = {*answers_.take_over};
  answers_.agent->resources[0].state = "stopped";
  EXPECT_EQ(
      ask({"resource", "take-over", "accounts_pg", "--agent", cluster_.address(), "--reason", "x"}).code, 5);
}

TEST_F(ToolTest, ResolveAsksTheAgentItselfWhileNoCoordinatorRuns) {
  answers_.resolve_branch = wire::FinishReply{};
  answers_.resolve_branch->outcome = wire::BranchEnd::HEURISTIC_COMMITTED;
  expect_golden("resolve_at_agent",
                {"resolve", kTransaction, "--branch", "2", "--resource", "accounts_my", "--agent",
                 cluster_.address(), "--commit", "--reason", "its marker stands in accounts_pg"});
  EXPECT_EQ(answers_.resolved_branch->resource, "accounts_my");
  EXPECT_TRUE(answers_.resolved_branch->commit);
  EXPECT_FALSE(answers_.resolved);
}

// ---- what goes wrong before anything is asked

TEST_F(ToolTest, APeerOfAnotherVersionIsNamed) {
  answers_.contract_version = 2;
  const auto ran = ask({"resources"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.errors, HasSubstr("troth-coordinator 9.9.9"));
  EXPECT_THAT(ran.errors, HasSubstr("speaks version 2 of the contract"));
}

TEST(Tool, NobodyThereIsUnreachableAndChangesNothing) {
  const auto ran = run({"--coordinator", "127.0.0.1:1", "execute", "--on", "a", "SELECT 1"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.errors, HasSubstr("effect: none"));
  EXPECT_THAT(ran.errors, HasSubstr("see that the process runs"));
}

TEST(Tool, WrongCommandLinesAreUsageErrorsThatNameTheirPart) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "a command is missing"},
      {{"frobnicate"}, "frobnicate"},
      {{"execute"}, "--on"},
      {{"execute", "--param", "int:1", "--on", "a", "b"}, "stands before any --on"},
      {{"execute", "--on", "a", "b", "--param", "intt:1"}, "perhaps int:.."},
      {{"execute", "--on", "a", "b", "--param", "int:1x"}, "not a value of type int"},
      {{"execute", "--on", "a", "b", "--param", "bytes:0"}, "not a value of type bytes"},
      {{"execute", "--on", "a", "b", "--acknowledge", "never"}, "never"},
      {{"execute", "--on", "a", "b", "--request-id", "17"}, "is not a request_id"},
      {{"--coordinator", "nowhere", "execute", "--on", "a", "b"}, "nowhere"},
      {{"status"}, "transaction id, or --request-id"},
      {{"status", "x", "--bar"}, "--bar"},
      {{"resolve", "x", "--branch", "1", "--reason", "r"}, "--commit or --rollback"},
      {{"resolve", "x", "--branch", "1", "--commit", "--reason", ""}, "must not be empty"},
      {{"resolve", "x", "--branch", "1", "--commit"}, "--reason"},
      {{"resource", "take-over", "x", "--reason", "r"}, "--agent"},
      {{"cluster", "new-reign", "d", "--reason", "r"}, "--above, or each --agent"},
      {{"log", "verify"}, "directory"},
  };
  for (const auto& [words, part] : wrong) {
    const auto ran = run(words);
    EXPECT_EQ(ran.code, 2) << testing::PrintToString(words);
    EXPECT_THAT(ran.errors, HasSubstr(part)) << testing::PrintToString(words);
  }
}

TEST(Tool, HelpIsNoError) {
  const auto ran = run({"execute", "--help"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.output, HasSubstr("Exit codes: 0 done"));
  EXPECT_THAT(run({"--version"}).output, HasSubstr("troth "));
}

}  // namespace
}  // namespace troth::recovery
