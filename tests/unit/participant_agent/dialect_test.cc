#include "participant_agent/dialect/dialect.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/postgres_pipeline.h"
#include "participant_agent/dialect/schema.h"
#include "participant_agent/marker_judgement.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

using testing::HasSubstr;
using testing::Not;
constexpr DatabaseKind kAll[] = {DatabaseKind::kPostgres, DatabaseKind::kMysql, DatabaseKind::kMariadb};

BranchStart start_of(Isolation isolation = Isolation::kUnset) {
  BranchStart start;
  start.id = {transaction(5, 7), {1}};
  start.epoch = {5};
  start.request = RequestKey{"shop", request_id('a')};
  start.isolation = isolation;
  return start;
}

std::string joined(const Texts& texts) {
  std::string all;
  for (const auto& text : texts)
    all += text + "\n";
  return all;
}

TEST(Dialect, TheMarkerIsInsertedFirstAndTheFloorIsReadBehindIt) {
  for (const auto kind : kAll) {
    const std::string begin = joined(dialect_of(kind).begin_branch(start_of()));
    const bool prepared = kind == DatabaseKind::kPostgres;
    const auto marker = begin.find(prepared ? "EXECUTE troth_marker" : "INSERT INTO");
    const auto floor = begin.find(prepared ? "EXECUTE troth_guard" : "troth_floor");
    ASSERT_NE(marker, std::string::npos) << name_of(kind);
    ASSERT_NE(floor, std::string::npos) << name_of(kind);
    EXPECT_LT(marker, floor) << "attack 42: each branch reads the floor after its marker insert";
    const std::string all = joined(dialect_of(kind).prepare_for_branches()) + begin;
    EXPECT_THAT(all, Not(HasSubstr("FOR SHARE"))) << "attack 45: owner and floor are read without a lock";
    EXPECT_THAT(all, Not(HasSubstr("FOR UPDATE")));
  }
}

// Attack 45: under SERIALIZABLE InnoDB locks what a plain SELECT reads; a prepared branch must not keep the
// owner row.
TEST(Dialect, UnderSerializableTheOwnerRowIsReadBeforeTheBranchBegins) {
  for (const auto kind : {DatabaseKind::kMysql, DatabaseKind::kMariadb}) {
    const std::string begin = joined(dialect_of(kind).begin_branch(start_of(Isolation::kSerializable)));
    EXPECT_LT(begin.find("troth_owner"), begin.find("XA START"));
    EXPECT_EQ(begin.find("troth_owner", begin.find("XA START")), std::string::npos);
  }
}

// Attack 34: a client's `SET synchronous_commit` does not outlive the last word before the commit.
TEST(Dialect, DurabilityIsSetBehindTheClientsStatements) {
  const auto& postgres = dialect_of(DatabaseKind::kPostgres);
  const BranchId id{transaction(5, 7), {1}};
  for (const auto& texts : {postgres.prepare(id), postgres.commit_one_phase(id)}) {
    const std::string all = joined(texts);
    EXPECT_THAT(all, HasSubstr("set_config('synchronous_commit'"));
    EXPECT_THAT(all, HasSubstr("troth1.bank-x7k2p9.5.7.1")) << "and only inside this very branch";
  }
  for (const auto kind : kAll)
    EXPECT_THAT(
        joined(dialect_of(kind).prepare_for_branches()) + joined(dialect_of(kind).begin_branch(start_of())),
        HasSubstr(kind == DatabaseKind::kPostgres ? "fsync" : "innodb_flush_log_at_trx_commit"));
}

// Whatever a client calls itself, it is a value and nothing else.
RC_GTEST_PROP(Dialect, AClientsNameStaysAValue, (const std::string& client)) {
  const std::string digits = hexadecimal(client);
  for (const auto kind : kAll) {
    auto start = start_of();
    start.request->client = "'); DROP TABLE account; --" + client;
    for (const auto& texts :
         {dialect_of(kind).begin_branch(start), dialect_of(kind).read_markers(start.id, start.request),
          dialect_of(kind).insert_request_barrier(*start.request, {5}, {})}) {
      RC_ASSERT(joined(texts).find("DROP") == std::string::npos);
      RC_ASSERT(joined(texts).find(digits) != std::string::npos);
    }
  }
}

// A request stands in one row, whatever its branch is numbered: the row is found by the request alone.
TEST(Dialect, ARequestsRowIsFoundWhateverItsBranch) {
  for (const auto kind : kAll) {
    const RequestKey request{"shop", request_id('a')};
    const auto by_branch = joined(dialect_of(kind).read_markers({transaction(5, 7), {2}}, std::nullopt));
    EXPECT_THAT(by_branch, HasSubstr("branch = 2"));
    const auto both = joined(dialect_of(kind).read_markers({transaction(5, 7), {2}}, request));
    const auto by_request = both.substr(both.find("UNION"));
    EXPECT_THAT(by_request, HasSubstr("client = "));
    EXPECT_THAT(by_request, Not(HasSubstr("branch = "))) << name_of(kind);
  }
}

TEST(Dialect, BarriersCarryNoRequest) {
  for (const auto kind : kAll) {
    const auto text =
        joined(dialect_of(kind).insert_barrier({transaction(5, 7), {1}}, {6}, std::chrono::seconds(1)));
    EXPECT_THAT(text, HasSubstr("NULL, NULL, NULL, 'barred'")) << "attack 48: barrier rows eat no request_id";
  }
}

// Attack 49: a MySQL resource is a schema with tables of its own; two on one server share nothing.
TEST(Schema, EachMysqlSchemaHasItsOwnTables) {
  const auto texts = install_texts(DatabaseKind::kMysql, {"troth_a", "%", "shop`s", "ab12"});
  for (const auto& text : texts) {
    // Each mention of one of its tables, but as a value, or by a key's name.
    for (auto at = text.find("troth_"); at != std::string::npos; at = text.find("troth_", at + 1)) {
      const auto before = text.substr(0, at);
      EXPECT_TRUE(before.ends_with("`shop``s`.") || before.ends_with("'") || before.ends_with("'.") ||
                  before.ends_with("KEY ") || before.ends_with("INDEX ") || before.ends_with("TO `"))
          << text;
    }
  }
  EXPECT_THAT(joined(texts), HasSubstr("UNIQUE KEY troth_request (client, request_id))"));
}

// A schema's name is a value and a quoted name, whatever is in it.
TEST(Schema, ADatabaseWithAStrangeNameIsUpgradedByIt) {
  const auto texts = joined(install_texts(DatabaseKind::kMysql, {"troth_a", "%", "sh'o`p", "ab12"}));
  EXPECT_THAT(texts, HasSubstr("table_schema = _utf8mb4 X'" + hexadecimal("sh'o`p") + "'"));
  EXPECT_THAT(texts, HasSubstr("CONCAT('ALTER TABLE ', _utf8mb4 X'" + hexadecimal("`sh'o``p`") + "'"));
  EXPECT_THAT(joined(install_texts(DatabaseKind::kMariadb, {"troth_a", "%", "shop", "ab12"})),
              HasSubstr("CONCAT('ALTER TABLE ', '`shop`', '.troth_branch ', 'DROP INDEX"));
}

// Whoever meets a version relies on its key and its states: no list of texts raises it before they stand, or without.
TEST(Schema, TheVersionRisesBehindTheLayoutAndOnlyWithIt) {
  for (const auto kind : kAll) {
    const auto texts = joined(install_texts(kind, {"troth_a", "%", "shop", "ab12"}));
    const auto last_change = texts.rfind("ALTER TABLE");
    const auto version = texts.find(".troth_schema_version AS v SELECT 1, 3") != std::string::npos
                             ? texts.find(".troth_schema_version AS v SELECT 1, 3")
                             : texts.find(".troth_schema_version SELECT 1, 3");
    ASSERT_NE(version, std::string::npos) << texts;
    EXPECT_LT(last_change, version) << name_of(kind);
    const auto conditions = kind == DatabaseKind::kPostgres
                                ? Texts{"conname IN ('troth_request', 'troth_state')) = 2"}
                                : Texts{"non_unique = 0) = 2", "LIKE '%resolved%') = 1"};
    for (const auto& condition : conditions)
      EXPECT_NE(texts.find(condition, version), std::string::npos) << texts;
  }
}

TEST(Schema, IsPrintedForThoseWhoRunDdlThemselves) {
  const std::string script = install_script(DatabaseKind::kPostgres, {"troth_\"pg", "", "", "ab12"});
  EXPECT_THAT(script, HasSubstr("CREATE ROLE \"troth_\"\"pg\" LOGIN"));
  EXPECT_THAT(script, HasSubstr("CONSTRAINT troth_request UNIQUE (client, request_id))"));
  EXPECT_THAT(script, HasSubstr("stop the resource's agent before"));
  EXPECT_THAT(script, HasSubstr("GROUP BY client, request_id HAVING COUNT(*) > 1"))
      << "the rows that stand in the way";
  EXPECT_THAT(joined(uninstall_texts(DatabaseKind::kPostgres, {})), HasSubstr("DROP SCHEMA"));
}

TEST(Rows, AreReadByPositionOrRefusedWhole) {
  const auto guard = parse_guard({"agent-a", "3", "00000000000000ff", "17", "5", "4", "1000", ""});
  ASSERT_TRUE(guard) << guard.error().message;
  EXPECT_EQ(guard->owner, (OwnerRow{{"agent-a"}, {3}, {255}, 17}));
  EXPECT_EQ(guard->floors, (Floors{{{5}, {4}}, 1000}));
  for (const TextRow& row : {TextRow{}, TextRow{"agent-a", "x", "ff", "17", "5", "4", "1000", ""},
                             TextRow{"agent-a", "3", "ff", "17", "5", "4", "1000", "", "more"},
                             TextRow{std::nullopt, "3", "ff", "17", "5", "4", "1000", ""}}) {
    const auto refused = parse_guard(row);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  }
  EXPECT_FALSE(parse_marker({"t", "1", "perhaps", std::nullopt, std::nullopt, std::nullopt, "5"}));
  EXPECT_FALSE(parse_marker({"t", "1", "barred", "c", "0192", std::nullopt, "5"}));
  const auto marker = parse_marker({"bank-x7k2p9.5.7", "1", "committed", "shop",
                                    "0192F0C12B3C7D4E8F500123456789AA", std::string(64, '0'), "5"});
  ASSERT_TRUE(marker) << marker.error().message;
  EXPECT_EQ(marker->request, (RequestKey{"shop", request_id('a')}));
}

TEST(Guard, SaysWhatStandsAgainstABranch) {
  const OwnerRow mine{{"agent-a"}, {3}, {33}, 0};
  GuardRow guard{{{"agent-a"}, {3}, {33}, 99}, {}, ""};
  const auto start = start_of();
  EXPECT_TRUE(check_guard(guard, mine, start, true));
  guard.not_durable = "fsync is off";
  EXPECT_EQ(check_guard(guard, mine, start, true).error().code, ErrorCode::kNotDurable);
  EXPECT_TRUE(check_guard(guard, mine, start, false)) << "switched off by name";
  guard.floors = {{{5}, {7}}, 0};
  EXPECT_TRUE(check_guard(guard, mine, start, false)) << "the floor itself is remembered";
  guard.floors = {{{5}, {8}}, 0};
  EXPECT_EQ(check_guard(guard, mine, start, false).error().code, ErrorCode::kTooOld);
  guard.floors = {{}, start.request->id.unix_ms() + 1};
  EXPECT_EQ(check_guard(guard, mine, start, false).error().code, ErrorCode::kRequestIdTooOld);
  guard.owner.nonce = {34};
  EXPECT_EQ(check_guard(guard, mine, start, false).error().code, ErrorCode::kNotOwner)
      << "attack 30: the loser stops";
}

TEST(RequestBarrier, HasANameThatNoTransactionHas) {
  const RequestKey request{"shop", request_id('a')};
  const std::string name = request_barrier_name(request);
  EXPECT_EQ(name.size(), 48U);
  EXPECT_FALSE(TransactionId::parse(name));
  EXPECT_NE(name, request_barrier_name({"other", request_id('a')}));
}

RC_GTEST_PROP(RequestFloor, TheFirstIdOfAMillisecondSortsRight, ()) {
  const auto ms = *rc::gen::inRange<std::uint64_t>(1, 1ULL << 48);
  RC_ASSERT(first_request_id_of(ms).unix_ms() == ms);
  RC_ASSERT(first_request_id_of(ms - 1) < first_request_id_of(ms));
}

// Attack 40: what a barred request's key says.
TEST(RequestVerdict, IsReadFromTheRowThatTheBarrierMet) {
  const RequestKey request{"shop", request_id('a')};
  MarkerRow row{"bank-x7k2p9.4.9", {1}, MarkerState::kCommitted, request, std::nullopt, {4}};
  EXPECT_EQ(judge_request(request, {row}).end, BranchEnd::kCommitted);
  EXPECT_EQ(judge_request(request, {row}).committed_as, "bank-x7k2p9.4.9");
  row.state = MarkerState::kBarred;
  EXPECT_EQ(judge_request(request, {row}).end, BranchEnd::kRolledBack);
  EXPECT_EQ(judge_request(request, {}).end, BranchEnd::kUndecided);
}

// Attack 42: above READ COMMITTED the first query of a transaction takes its snapshot, and a guard that reads an older one
// than the marker's may miss a floor.
TEST(PostgresPipeline, NothingBeforeTheMarkerTakesASnapshot) {
  BranchStart start;
  start.id = {{ClusterId{"bank-x7k2p9"}, EpochNumber{4}, Sequence{9}, std::nullopt}, BranchNumber{1}};
  start.isolation = Isolation::kSerializable;
  start.statement_timeout = std::chrono::seconds(1);
  start.lock_timeout = std::chrono::seconds(1);
  const PipelineSteps steps = pipeline_beginning(start, true);
  ASSERT_GE(steps.size(), 2U);
  EXPECT_EQ(steps.at(steps.size() - 2).sql, "troth_marker");
  EXPECT_EQ(steps.back().sql, "troth_guard");
  for (std::size_t i = 0; i + 2 < steps.size(); ++i) {
    EXPECT_FALSE(steps[i].is_prepared);
    EXPECT_TRUE(steps[i].sql.starts_with("BEGIN ISOLATION LEVEL SERIALIZABLE") ||
                steps[i].sql.starts_with("SET LOCAL "))
        << steps[i].sql;
  }
}

}  // namespace
}  // namespace troth::agent
