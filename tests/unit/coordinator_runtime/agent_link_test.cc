// The coordinator's side of an agent: when it counts as lost, and that its end is one.
#include "coordinator/runtime/agent_link.h"

#include <functional>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "tests/unit/thrift/fake_server.h"
#include "thrift/gen/Agent.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

const ClusterId kCluster{"test-abc123"};

// Answers greetings and heartbeats, and keeps every prepare.
class BusyAgent : public wire::AgentCobSvNull {
 public:
  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void agent_hello(Answer<wire::Hello> answer, Refusal, const wire::Hello&) override {
    answer(rpc::hello_of("troth-agent", kCluster));
  }
  void heartbeat(Answer<wire::HeartbeatReply> answer, Refusal, const wire::HeartbeatRequest&) override {
    ++heartbeats;
    wire::HeartbeatReply reply;
    reply.agent_id = "a";
    reply.incarnation = 1;
    answer(reply);
  }
  void prepare(Answer<wire::PrepareReply> answer, Refusal, const wire::PrepareRequest&) override {
    prepares.push_back(std::move(answer));
  }

  std::size_t heartbeats = 0;
  std::vector<Answer<wire::PrepareReply>> prepares;
};

class AgentLinkTest : public testing::Test {
 protected:
  void serve(std::size_t max_calls) {
    rpc::ServerOptions options;
    options.max_calls = max_calls;
    options.max_calls_per_connection = max_calls;
    options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
      wire::from_error(error).write(&out);
    };
    server_ = std::make_unique<rpc::Server>(loop_, std::move(options));
    server_->add_service<wire::AgentAsyncProcessor>(agent_);
    const auto address = server_->listen({"127.0.0.1", 0});
    ASSERT_TRUE(address) << address.error().message;
    link(*address, 5ms);
    ASSERT_TRUE(run_until([&] { return link_->is_connected(); }));
  }
  void link(const rpc::Address& address, Duration heartbeat_interval) {
    AgentLink::Owner owner;
    owner.cluster = kCluster;
    owner.heartbeat_interval = heartbeat_interval;
    owner.call_timeout = 10s;
    owner.max_calls = 100'000;
    owner.max_unsent_bytes = 64U << 20;
    owner.max_frame_bytes = 1U << 20;
    owner.heartbeat = [] { return wire::HeartbeatRequest(); };
    owner.on_connected = [](Incarnation) {};
    owner.on_lost = [this] { ++lost_; };
    owner.on_heartbeat = [](const wire::HeartbeatReply&) {};
    link_ = std::make_unique<AgentLink>(loop_, AgentId{"a"}, address, std::move(owner));
  }
  bool run_until(const std::function<bool()>& condition) {
    const auto give_up = Clock::now() + 20s;
    while (!condition() && Clock::now() < give_up)
      loop_.run_one_for(100ms);
    return condition();
  }
  void prepare(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      link_->prepare({}, 60s, [this](const Result<wire::PrepareReply>& reply) { voted_ += reply ? 1U : 0U; });
  }
  void answer_all() {
    for (const auto& answer : agent_->prepares)
      answer(wire::PrepareReply());
    agent_->prepares.clear();
  }

  asio::io_context loop_{1};
  std::shared_ptr<BusyAgent> agent_ = std::make_shared<BusyAgent>();
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<AgentLink> link_;
  std::size_t lost_ = 0;
  std::size_t voted_ = 0;
};

// An agent that is lost loses its votes; one that has no room for a heartbeat is not lost.
TEST_F(AgentLinkTest, AnAgentThatIsTooBusyForAHeartbeatKeepsItsVotes) {
  serve(1);
  prepare(1);
  ASSERT_TRUE(run_until([&] { return server_->counts().overloaded >= 3; }));
  EXPECT_TRUE(link_->is_connected());
  answer_all();
  EXPECT_TRUE(run_until([&] { return voted_ == 1; }));
  const auto before = agent_->heartbeats;
  EXPECT_TRUE(run_until([&] { return agent_->heartbeats > before + 2; }));
  EXPECT_EQ(lost_, 0U);
}

TEST_F(AgentLinkTest, AsManyBranchesMayWaitAsTheTableAdmits) {
  constexpr std::size_t kBranches = 6000;  // more than a channel takes by itself
  serve(2 * kBranches);
  prepare(kBranches);
  ASSERT_TRUE(run_until([&] { return agent_->prepares.size() == kBranches; })) << agent_->prepares.size();
  const auto before = agent_->heartbeats;
  EXPECT_TRUE(run_until([&] { return agent_->heartbeats > before + 2; }));
  answer_all();
  EXPECT_TRUE(run_until([&] { return voted_ == kBranches; })) << voted_;
  EXPECT_EQ(lost_, 0U);
}

// A cancelled timer that has fired already still has its turn.
TEST_F(AgentLinkTest, AnEndBesideAHeartbeatThatIsDueIsAnEnd) {
  const rpc::test::FakeServer nobody(rpc::test::Listening::kNo);
  const auto begin = Clock::now();
  link(nobody.address(), 200ms);
  loop_.run_for(50ms);  // it cannot be reached, and will be tried again
  while (Clock::now() < begin + 400ms) {
  }
  asio::steady_timer earlier(loop_, begin);
  earlier.async_wait([this](const asio::error_code&) { link_->close(); });
  loop_.poll();
  loop_.run_for(50ms);
  EXPECT_FALSE(link_->is_connected());
}

}  // namespace
}  // namespace troth::coordinator
