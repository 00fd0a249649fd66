#include "recovery/schema_upgrade.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

using agent::DatabaseKind;
using agent::MarkerRow;
using agent::MarkerState;
using testing::HasSubstr;
using testing::Not;

RequestKey rent(const std::string& client = "shop") {
  return {client, RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057").value_or(RequestId{})};
}
RequestKey wages() {
  return {"shop", RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8058").value_or(RequestId{})};
}

MarkerRow row(const std::string& transaction, std::uint32_t branch, const RequestKey& request,
              MarkerState state = MarkerState::kCommitted) {
  return {transaction, {branch}, state, request, std::nullopt, {1}};
}

TEST(SchemaUpgrade, NamesEveryRowOfARepeatedRequestAndTheWayOut) {
  const auto error = unread_calls(DatabaseKind::kPostgres, "pg",
                                  {row("bank-x7k2p9.1.8", 2, rent()), row("bank-x7k2p9.1.5.s2", 1, rent()),
                                   row("bank-x7k2p9.1.9.s2", 1, wages()), row("bank-x7k2p9.2.4", 3, wages()),
                                   row("bank-x7k2p9.2.6", 2, wages())});
  EXPECT_EQ(error.code, ErrorCode::kRequestIdReused);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(error.resource, "pg");
  EXPECT_THAT(error.message,
              HasSubstr("request_id 01890a5d-ac96-774b-bcce-b302099a8057 of client 'shop' stands in "
                        "bank-x7k2p9.1.5.s2 (branch 1, committed) and in bank-x7k2p9.1.8 (branch 2, "
                        "committed)"));
  EXPECT_THAT(error.message,
              HasSubstr("stands in bank-x7k2p9.1.9.s2 (branch 1, committed) and in bank-x7k2p9.2.4 "
                        "(branch 3, committed) and in bank-x7k2p9.2.6 (branch 2, committed)"));
  // The commit in one phase keeps the request: of the others the coordinator has a record.
  const std::string take =
      "UPDATE troth.troth_branch SET client = NULL, request_id = NULL WHERE transaction = ";
  EXPECT_THAT(error.message, HasSubstr(take + "'bank-x7k2p9.1.8' AND branch = 2;"));
  EXPECT_THAT(error.message, HasSubstr(take + "'bank-x7k2p9.2.4' AND branch = 3;"));
  EXPECT_THAT(error.message, HasSubstr(take + "'bank-x7k2p9.2.6' AND branch = 2;"));
  EXPECT_THAT(error.message, Not(HasSubstr(take + "'bank-x7k2p9.1.5.s2'")));
  EXPECT_THAT(error.message, Not(HasSubstr("perhaps more")));
}

// A barrier of the request that another number's branch went past: what it was to keep from happening happened.
TEST(SchemaUpgrade, ABarrierGivesWayToACommit) {
  const auto error =
      unread_calls(DatabaseKind::kMariadb, "ma",
                   {row("r01890a5dac96774bbcceb302099a8057.0123456789abcd", 1, rent(), MarkerState::kBarred),
                    row("bank-x7k2p9.1.8", 2, rent())});
  EXPECT_THAT(error.message,
              HasSubstr("UPDATE troth_branch SET client = NULL, request_id = NULL WHERE transaction = "
                        "'r01890a5dac96774bbcceb302099a8057.0123456789abcd' AND branch = 1;"));
  EXPECT_THAT(error.message, Not(HasSubstr("WHERE transaction = 'bank")));
}

TEST(SchemaUpgrade, SaysThatThereMayBeMore) {
  std::vector<MarkerRow> rows;
  for (int request = 0; request < 20; ++request) {
    const auto key = rent("shop " + std::to_string(request));
    rows.push_back(row("bank-x7k2p9.1.5.s2", 1, key));
    rows.push_back(row("bank-x7k2p9.1.8", 2, key));
  }
  EXPECT_THAT(unread_calls(DatabaseKind::kMysql, "my", rows).message, HasSubstr("; and perhaps more"));
}

TEST(SchemaUpgrade, TellsWhoIsToStop) {
  const auto error = tables_in_use("pg", "agent agent-b2frhz serves it");
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.message, HasSubstr("agent agent-b2frhz serves it"));
  EXPECT_THAT(error.message, HasSubstr("nothing of pg"));
}

}  // namespace
}  // namespace troth::recovery
