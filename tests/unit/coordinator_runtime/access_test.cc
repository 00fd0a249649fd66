// A coordinator and an agent with TLS, in one process, and callers in every role: who may do what, and what the audit
// trail says of it.
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "base/runtime/request_ids.h"
#include "tests/support/holds_within.h"
#include "tests/support/in_process_servers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_ca.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/tls.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using std::chrono::seconds;
using test::Subject;
using testing::ContainsRegex;
using testing::HasSubstr;

constexpr Duration kLong = seconds(20);
const Subject kPayments{.unit = "troth-service", .name = "payments"};
const Subject kAlice{.unit = "troth-operator", .name = "alice"};
const Subject kTills{.unit = "troth-agent", .name = "tills"};
const Subject kBank{.unit = "troth-coordinator", .name = "bank"};

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Access : public testing::Test {
 protected:
  Access() {
    auto coordinator = coordinator_options(directory_.path());
    coordinator.audit_path = directory_.file("coordinator-audit.log");
    coordinator.settings.tls = ca_.issue(kBank);
    coordinator.settings.services = {{"payments", {"till"}}, {"auditing", {"*"}}};
    auto agent = agent_options("tills-abc123", directory_.path(), coordinator.settings.listen,
                               {{"till", std::make_shared<DoNothingDatabase>(DoNothingOptions{})},
                                {"vault", std::make_shared<DoNothingDatabase>(DoNothingOptions{})}});
    agent.audit_path = directory_.file("agent-audit.log");
    agent.settings.tls = ca_.issue(kTills);
    coordinator_ = std::make_unique<InProcessCoordinator>(std::move(coordinator));
    agent_ = std::make_unique<InProcessAgent>(std::move(agent));
    coordinator_->start();
    agent_->start();
  }

  [[nodiscard]] rpc::Address coordinator_address() const {
    return *rpc::Address::parse(coordinator_->options().settings.listen);
  }
  [[nodiscard]] rpc::Address agent_address() const {
    return *rpc::Address::parse(agent_->options().settings.listen);
  }
  [[nodiscard]] std::string audit() const { return content_of(directory_.file("coordinator-audit.log")); }
  [[nodiscard]] std::string agent_audit() const { return content_of(directory_.file("agent-audit.log")); }

  // One call on a connection of its own.
  template <typename Method, typename Request>
  [[nodiscard]] auto call(const Subject& as, const rpc::Address& server, const Request& request) {
    rpc::BlockingChannel channel(server, {.tls = ca_.tls(as)});
    return channel.call<Method>(request, kLong);
  }
  template <typename Method>
  [[nodiscard]] auto call(const Subject& as, const rpc::Address& server) {
    rpc::BlockingChannel channel(server, {.tls = ca_.tls(as)});
    return channel.call<Method>(kLong);
  }
  [[nodiscard]] Result<wire::ExecuteResult> execute(const Subject& as, const std::string& client_name,
                                                    const std::vector<std::string>& resources,
                                                    const std::string& request_id = "") {
    wire::ExecuteRequest request;
    request.client_name = client_name;
    if (!request_id.empty()) request.__set_request_id(request_id);
    for (const auto& resource : resources) {
      auto& branch = request.branches.emplace_back();
      branch.resource = resource;
      branch.statements.emplace_back().sql = "UPDATE money SET amount = 1";
    }
    return call<wire::Transactions_execute>(as, coordinator_address(), request);
  }
  void wait_until_serving() {
    ASSERT_TRUE(holds_within(seconds(20), [&] {
      const auto status = call<wire::Administration_cluster_status>(kAlice, coordinator_address());
      return status && status->resources.size() == 2 && status->resources[0].health.state == "serving" &&
             status->resources[1].health.state == "serving";
    })) << audit();
  }

  template <typename T>
  static void expect_denied(const Result<T>& reply, std::string_view words, Effect effect = Effect::kNone) {
    ASSERT_FALSE(reply);
    EXPECT_EQ(name_of(reply.error().code), "permission_denied") << reply.error().message;
    EXPECT_EQ(name_of(reply.error().effect), name_of(effect)) << reply.error().message;
    EXPECT_FALSE(reply.error().retryable);
    EXPECT_THAT(reply.error().message, HasSubstr(words));
  }

  TemporaryDirectory directory_;
  test::TestCa ca_;
  std::unique_ptr<InProcessCoordinator> coordinator_;
  std::unique_ptr<InProcessAgent> agent_;
};

TEST_F(Access, AServiceUsesWhatItIsGrantedAndNothingElse) {
  wait_until_serving();
  const auto done = execute(kPayments, "payments", {"till"});
  EXPECT_TRUE(done) << done.error().message;
  expect_denied(execute(kPayments, "payments", {"vault"}), "service/payments may not use resource 'vault'");
  expect_denied(execute(kPayments, "payments", {"till", "vault"}), "[[services]] name = \"payments\"");
  EXPECT_TRUE(execute({.unit = "troth-service", .name = "auditing"}, "auditing", {"till", "vault"}));
  expect_denied(execute({.unit = "troth-service", .name = "unknown"}, "unknown", {"till"}),
                "service/unknown may not use resource 'till'");
  EXPECT_THAT(audit(), HasSubstr("action=denied method=execute caller=service/payments"));
  EXPECT_THAT(audit(), HasSubstr("resource 'vault'"));
}

// An earlier attempt may have been allowed what this one is not.
TEST_F(Access, ADeniedRetrySaysNothingOfTheRequest) {
  expect_denied(execute(kPayments, "payments", {"vault"}, new_request_id(wall_now()).text()),
                "may not use resource 'vault'", Effect::kUnknown);
}

TEST_F(Access, NobodyActsUnderAnothersName) {
  expect_denied(execute(kPayments, "auditing", {"till"}),
                "the certificate is service/payments's, and the call's client_name is 'auditing': it must be "
                "'payments'");
  expect_denied(execute(kPayments, "", {"till"}), "it must be 'payments'");
  wire::StatusRequest status;
  status.client_name = "auditing";
  status.__set_request_id(new_request_id(wall_now()).text());
  expect_denied(call<wire::Transactions_status>(kPayments, coordinator_address(), status),
                "it must be 'payments'");
  status.client_name = "payments";
  status.bar = true;
  status.bar_resources = {"vault"};
  expect_denied(call<wire::Transactions_status>(kPayments, coordinator_address(), status),
                "may not use resource 'vault'");
  // An operator asks about anybody's request.
  status.bar = false;
  status.bar_resources.clear();
  const auto asked = call<wire::Transactions_status>(kAlice, coordinator_address(), status);
  EXPECT_TRUE(asked) << asked.error().message;
}

TEST_F(Access, AnInteractiveTransactionIsGrantedStepByStep) {
  wait_until_serving();
  const auto coordinator = coordinator_address();
  wire::BeginRequest begin;
  begin.client_name = "auditing";
  expect_denied(call<wire::Transactions_begin_transaction>(kPayments, coordinator, begin),
                "it must be 'payments'");
  begin.client_name = "payments";
  const auto begun = call<wire::Transactions_begin_transaction>(kPayments, coordinator, begin);
  ASSERT_TRUE(begun) << begun.error().message;
  wire::QueryRequest query;
  query.transaction_id = begun->transaction_id;
  query.client_name = "payments";
  query.resource = "vault";
  query.number = 1;
  query.statement.sql = "UPDATE money SET amount = 1";
  expect_denied(call<wire::Transactions_query>(kPayments, coordinator, query),
                "may not use resource 'vault'");
  wire::FetchRequest fetch;
  fetch.transaction_id = begun->transaction_id;
  fetch.client_name = "payments";
  fetch.resource = "vault";
  fetch.number = 1;
  expect_denied(call<wire::Transactions_fetch>(kPayments, coordinator, fetch),
                "may not use resource 'vault'");
  // The transaction goes on, and nobody else reaches it.
  query.resource = "till";
  const Subject auditing{.unit = "troth-service", .name = "auditing"};
  expect_denied(call<wire::Transactions_query>(auditing, coordinator, query), "it must be 'auditing'");
  const auto queried = call<wire::Transactions_query>(kPayments, coordinator, query);
  EXPECT_TRUE(queried) << queried.error().message;
  wire::RollbackRequest rollback;
  rollback.transaction_id = begun->transaction_id;
  rollback.client_name = "payments";
  expect_denied(call<wire::Transactions_rollback>(auditing, coordinator, rollback), "it must be 'auditing'");
  wire::CommitRequest commit;
  commit.transaction_id = begun->transaction_id;
  commit.client_name = "payments";
  expect_denied(call<wire::Transactions_commit>(auditing, coordinator, commit), "it must be 'auditing'",
                Effect::kUnknown);
  const auto committed = call<wire::Transactions_commit>(kPayments, coordinator, commit);
  EXPECT_TRUE(committed) << committed.error().message;
}

TEST_F(Access, AnOperatorExecutesOnWhatIsGrantedToOperators) {
  expect_denied(execute(kAlice, "alice", {"till"}), "operator_resources in the coordinator's configuration");
  coordinator_->drop();
  coordinator_->options().settings.operator_resources = {"till"};
  coordinator_->start();
  wait_until_serving();
  const auto done = execute(kAlice, "alice", {"till"});
  EXPECT_TRUE(done) << done.error().message;
}

TEST_F(Access, EachRoleCallsItsOwnMethodsOnly) {
  const auto coordinator = coordinator_address(), agent = agent_address();
  expect_denied(call<wire::Administration_cluster_status>(kPayments, coordinator), "with the role operator");
  expect_denied(call<wire::Administration_in_doubt>(kTills, coordinator), "with the role operator");
  expect_denied(call<wire::Administration_resolve>(kPayments, coordinator, wire::ResolveRequest()),
                "operator");
  expect_denied(call<wire::Directory_current_epoch>(kPayments, coordinator),
                "with the role agent or coordinator");
  expect_denied(call<wire::Directory_register_agent>(kAlice, coordinator, wire::RegisterRequest()), "agent");
  expect_denied(execute(kTills, "tills", {"till"}), "service or operator");
  expect_denied(execute(kBank, "bank", {"till"}), "service or operator");
  expect_denied(call<wire::Agent_prepare>(kPayments, agent, wire::PrepareRequest()),
                "with the role coordinator");
  expect_denied(call<wire::Agent_commit_branch>(kAlice, agent, wire::FinishRequest()), "coordinator");
  expect_denied(call<wire::Agent_heartbeat>(kTills, agent, wire::HeartbeatRequest()), "coordinator");
  expect_denied(call<wire::Agent_take_over_resource>(kBank, agent, wire::TakeOverRequest()), "operator");
  EXPECT_THAT(audit(), HasSubstr("action=denied method=resolve caller=service/payments"));
  EXPECT_THAT(agent_audit(), HasSubstr("action=denied method=commit_branch caller=operator/alice"));
  EXPECT_TRUE(call<wire::Agent_agent_status>(kAlice, agent));
  EXPECT_THAT(agent_audit(), HasSubstr("action=called method=agent_status caller=operator/alice"));
}

TEST_F(Access, AnAgentSpeaksForItselfOnly) {
  wait_until_serving();
  wire::RegisterRequest request;
  request.cluster = "test-abc123";
  request.agent_id = "vaults-abc123";
  request.address = "127.0.0.1:1";
  expect_denied(call<wire::Directory_register_agent>(kTills, coordinator_address(), request),
                "the certificate is agent/tills's, and the call's agent_id is 'vaults-abc123'");
  wire::InquireRequest inquiry;
  inquiry.cluster = "test-abc123";
  inquiry.agent_id = "vaults-abc123";
  inquiry.transaction_id = "test-abc123.1.1";
  inquiry.branch = 1;
  expect_denied(call<wire::Directory_inquire>(kTills, coordinator_address(), inquiry), "'vaults-abc123'");
  EXPECT_THAT(audit(), HasSubstr("action=denied method=register_agent caller=agent/tills"));
}

// Somebody else's process, with a good certificate of its own, at the address of the agent.
TEST_F(Access, ACoordinatorGivesNoWorkToAnotherAgent) {
  wait_until_serving();
  agent_->drop();
  agent_->options().settings.tls = ca_.issue({.unit = "troth-agent", .name = "thief"});
  agent_->options().agent = {"thief-abc123"};
  agent_->options().journal_directory = directory_.file("thief-journal");
  agent_->start();
  ASSERT_TRUE(holds_within(seconds(20), [&] {
    const auto status = call<wire::Administration_cluster_status>(kAlice, coordinator_address());
    return status && std::ranges::any_of(status->resources, [](const auto& resource) {
             return resource.health.detail.contains("agent/thief's, and agent tills-abc123 was expected");
           });
  }));
}

TEST_F(Access, AnOperatorActsUnderTheCertificatesName) {
  wire::ResolveRequest resolve;
  resolve.transaction_id = "test-abc123.1.1";
  resolve.resource = "till";
  resolve.branch = 1;
  resolve.reason = "ticket 4711";
  resolve.operator_name = "bob";
  expect_denied(call<wire::Administration_resolve>(kAlice, coordinator_address(), resolve),
                "the certificate is operator/alice's, and the call names the operator 'bob'");
  resolve.operator_name = "alice";
  static_cast<void>(call<wire::Administration_resolve>(kAlice, coordinator_address(), resolve));
  EXPECT_THAT(audit(), HasSubstr("action=resolve transaction=test-abc123.1.1"));
  EXPECT_THAT(audit(), ContainsRegex("operator=alice reason=\"ticket 4711\" .*caller=operator/alice\n"));
  wire::TakeOverRequest take_over;
  take_over.resource = "till";
  take_over.reason = "ticket 4712";
  take_over.operator_name = "bob";
  expect_denied(call<wire::Agent_take_over_resource>(kAlice, agent_address(), take_over), "operator 'bob'");
  take_over.operator_name = "alice";
  EXPECT_TRUE(call<wire::Agent_take_over_resource>(kAlice, agent_address(), take_over));
  EXPECT_THAT(agent_audit(),
              ContainsRegex("operator=alice reason=\"ticket 4712\" .*caller=operator/alice\n"));
}

TEST_F(Access, EachAdministrativeCallLeavesALine) {
  EXPECT_TRUE(call<wire::Administration_cluster_status>(kAlice, coordinator_address()));
  EXPECT_TRUE(call<wire::Administration_in_doubt>(kAlice, coordinator_address()));
  EXPECT_THAT(audit(),
              HasSubstr("action=called method=cluster_status caller=operator/alice peer=127.0.0.1:"));
  EXPECT_THAT(audit(), HasSubstr("action=called method=in_doubt caller=operator/alice"));
}

TEST_F(Access, DenialsWithoutEndFillNoDisk) {
  rpc::BlockingChannel channel(coordinator_address(), {.tls = ca_.tls(kPayments)});
  for (int i = 0; i < 2000; ++i)
    expect_denied(channel.call<wire::Administration_in_doubt>(kLong), "operator");
  const auto text = audit();
  EXPECT_LT(std::ranges::count(text, '\n'), 500);
}

TEST_F(Access, RereadCertificatesAreForNewConnectionsAndBrokenOnesAreNotTaken) {
  wait_until_serving();
  const auto files = coordinator_->options().settings.tls;
  std::ofstream(files.certificate) << "broken";
  coordinator_->with_server([](auto& server) { server.reread(); });
  EXPECT_THAT(audit(),
              HasSubstr("action=reread what=certificate outcome=\"kept the old one: tls.certificate"));
  EXPECT_TRUE(execute(kPayments, "payments", {"till"}));
  ca_.renew(files, kBank);
  coordinator_->with_server([](auto& server) { server.reread(); });
  EXPECT_THAT(audit(), HasSubstr("action=reread what=certificate outcome=taken"));
  EXPECT_TRUE(execute(kPayments, "payments", {"till"}));
}

TEST_F(Access, AnAgentWithTheWrongCertificateDoesNotStart) {
  agent_->drop();
  asio::io_context loop;
  auto options = agent_->options();
  options.settings.tls = ca_.issue({.unit = "troth-agent", .name = "vaults"});
  agent::AgentServer stranger(loop, options);
  const auto started = stranger.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("it is agent/vaults's, and this is agent tills-abc123"));
  options.settings.tls = ca_.issue(kBank);
  agent::AgentServer wrong_role(loop, options);
  const auto second = wrong_role.start();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("needs one with OU=troth-agent"));
}

}  // namespace
}  // namespace troth
