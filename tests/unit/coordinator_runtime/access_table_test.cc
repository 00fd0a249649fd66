// The one table of who may call what, against the contract; and the names in certificates.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "thrift/access.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/group_methods.h"
#include "thrift/gen/transactions_methods.h"

namespace troth::rpc {
namespace {

using testing::HasSubstr;

template <typename... Services>
std::set<std::string> methods_of() {
  std::set<std::string> methods;
  const auto add = [&](const auto& names) { methods.insert(std::begin(names), std::end(names)); };
  (add(MethodsOf<Services>::kNames), ...);
  return methods;
}

TEST(AccessTable, EveryMethodOfTheContractStandsInIt) {
  const auto contract =
      methods_of<wire::TransactionsAsyncProcessor, wire::AdministrationAsyncProcessor,
                 wire::DirectoryAsyncProcessor, wire::ReplicasAsyncProcessor, wire::AgentAsyncProcessor>();
  std::set<std::string> table;
  for (const auto& entry : access_table()) {
    EXPECT_TRUE(table.insert(std::string(entry.method)).second) << entry.method << " stands twice";
    EXPECT_NE(entry.callers, Roles()) << entry.method << " is nobody's";
  }
  EXPECT_EQ(table, contract) << "give a new method its roles in thrift/access.cc";
}

TEST(AccessTable, AMethodThatIsNotInItIsNobodys) {
  for (const Role role : kRoles) {
    const auto allowed = check_access({role, "x"}, "no_such_method");
    ASSERT_FALSE(allowed);
    EXPECT_EQ(allowed.error().code, ErrorCode::kPermissionDenied);
  }
}

TEST(AccessTable, NoServiceAdministersAndNoAgentExecutes) {
  for (const auto* method : {"resolve", "in_doubt", "cluster_status", "take_over_resource", "resolve_branch"})
    EXPECT_FALSE(check_access({Role::kService, "payments"}, method)) << method;
  for (const auto* method : {"execute", "status", "resolve", "prepare", "commit_branch"})
    EXPECT_FALSE(check_access({Role::kAgent, "accounts"}, method)) << method;
  for (const auto* method : {"prepare", "commit_branch", "rollback_branch", "settle_branch", "heartbeat"}) {
    EXPECT_FALSE(check_access({Role::kOperator, "alice"}, method)) << method;
    EXPECT_TRUE(check_access({Role::kCoordinator, "bank"}, method)) << method;
  }
  EXPECT_THAT(
      check_access({Role::kService, "payments"}, "resolve").error().message,
      HasSubstr("service/payments may not call 'resolve': that needs a certificate with the role operator"));
}

using Values = std::vector<std::string>;

Result<Caller> caller(const Values& units, const Values& names) {
  return caller_of(units, names);
}

TEST(CallerName, IsOneRoleAndOneName) {
  EXPECT_EQ(caller({"troth-service"}, {"payments"})->text(), "service/payments");
  EXPECT_EQ(caller({"Retail Banking", "troth-operator"}, {"alice.b"})->text(), "operator/alice.b");
  for (const auto& [units, names] : std::vector<std::pair<Values, Values>>{
           {{}, {"payments"}},
           {{"Retail Banking"}, {"payments"}},
           {{"troth-service", "troth-operator"}, {"payments"}},
           {{"troth-service", "troth-service"}, {"payments"}},
           {{"troth-root"}, {"payments"}},
           {{"troth-Service"}, {"payments"}},
           {{"troth-"}, {"payments"}},
           {{"troth-service"}, {}},
           {{"troth-service"}, {"payments", "ledger"}},
           {{"troth-service"}, {""}},
           {{"troth-service"}, {std::string("pay\0ments", 9)}},
           {{"troth-service"}, {"payments\n"}},
           {{"troth-service"}, {"pay ments"}},
           {{"troth-service"}, {std::string(65, 'x')}},
           {{std::string("troth-service\0", 14)}, {"payments"}},
       }) {
    const auto named = caller(units, names);
    ASSERT_FALSE(named) << named->text();
    EXPECT_EQ(named.error().code, ErrorCode::kPermissionDenied);
  }
}

TEST(CallerName, OfAnAgentIsItsIdOrWhatItWasInitialisedWith) {
  EXPECT_TRUE(is_name_of_agent("accounts-x7k2p9", "accounts-x7k2p9"));
  EXPECT_TRUE(is_name_of_agent("accounts", "accounts-x7k2p9"));
  EXPECT_FALSE(is_name_of_agent("accounts", "accounts2-x7k2p9"));
  EXPECT_FALSE(is_name_of_agent("accounts", "accounts-x7k2p"));
  EXPECT_FALSE(is_name_of_agent("acc", "accounts-x7k2p9"));
  EXPECT_FALSE(is_name_of_agent("accounts-aaaaaa", "accounts-x7k2p9"));
  EXPECT_FALSE(is_name_of_agent("", "-x7k2p9"));
  EXPECT_FALSE(is_name_of_agent("accounts-x7k2p9", "accounts"));
}

}  // namespace
}  // namespace troth::rpc
