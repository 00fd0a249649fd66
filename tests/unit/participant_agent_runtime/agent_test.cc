// A whole agent, journal and sessions and all, over a database that does nothing: what operators see and do, and
// sessions that hold a branch. Runs under ThreadSanitizer.
#include "participant_agent/runtime/agent.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "participant_agent/runtime/agent_service.h"
#include "tests/support/do_nothing_database.h"
#include "tests/support/holds_within.h"
#include "tests/support/temporary_directory.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const ClusterId kCluster{"bank-x7k2p9"};
const ResourceName kBank{"bank"};

class AgentTest : public testing::Test {
 protected:
  ~AgentTest() override {
    if (database_) database_->release();
  }

  void start(DoNothingOptions database = {}) {
    database_ = std::make_shared<DoNothingDatabase>(std::move(database));
    coordinators_.emplace(loop_, AgentId{"agent-a"}, kCluster,
                          std::vector{*rpc::Address::parse("127.0.0.1:1")}, nullptr);
    start_agent();
  }

  void start_agent() {
    JournalOptions journal_options;
    journal_options.directory = directory_.file("journal");
    journal_options.cluster = kCluster;
    journal_options.agent = {"agent-a"};
    journal_options.segment_bytes = 1U << 20;
    journal_options.journal_bytes = 4U << 20;
    JournalState state;
    auto journal = Journal::open(loop_, journal_options, state);
    ASSERT_TRUE(journal) << journal.error().message;
    Agent::Options options;
    options.agent = {"agent-a"};
    options.cluster = kCluster;
    options.address = *rpc::Address::parse("127.0.0.1:1");
    options.audit_path = directory_.file("audit.log");
    options.on_failure = [](const Error& error) { ADD_FAILURE() << error.message; };
    Resource::Options resource;
    resource.settings.name = kBank.value;
    resource.settings.kind = DatabaseKind::kMariadb;
    resource.settings.sessions = 4;
    resource.cluster = kCluster;
    resource.ownership.resource = kBank;
    resource.ownership.agent = {"agent-a"};
    resource.ownership.nonce = {++nonce_};
    resource.ownership.counter_interval = 20ms;
    resource.ownership.session_poll = 5ms;
    resource.ownership.retry = 20ms;
    resource.list_interval = 20ms;
    resource.tied_patience = 50ms;
    resource.open = [database = database_] { return database->connect(); };
    resource.open_finishing = resource.open;
    options.resources.push_back(std::move(resource));
    agent_.emplace(loop_, std::move(options), *std::move(journal), state, *coordinators_);
    agent_->start();
  }

  // As a crash does, as far as the journal goes; the database's sessions end with the process.
  void restart() {
    bool down = false;
    agent_->shut_down(0ms, [&] { down = true; });
    ASSERT_TRUE(comes_true([&] { return down; }));
    agent_.reset();
    start_agent();
  }

  // Turns the loop until it holds.
  template <typename Condition>
  bool comes_true(Condition condition) {
    return holds_within(10s, [&] {
      loop_.restart();
      loop_.poll();
      return condition();
    });
  }

  ResourceHealth health() { return agent_->health_of(*agent_->resources().at(kBank)); }
  bool becomes(ResourceState state) {
    const bool did = comes_true([&] { return health().state == state; });
    EXPECT_TRUE(did) << "it is " << name_of(health().state) << ": " << health().reason;
    return did;
  }

  // What a call came to: an answer, or why it was refused.
  template <typename T>
  struct Outcome {
    std::optional<T> answer;
    std::optional<Error> refusal;
  };
  template <typename T, typename Call>
  Outcome<T> await(Call call) {
    const auto outcome = std::make_shared<Outcome<T>>();
    call([outcome](T answer) { outcome->answer = std::move(answer); },
         [outcome](const Error& error) { outcome->refusal = error; });
    EXPECT_TRUE(comes_true([&] { return outcome->answer || outcome->refusal; }));
    return *outcome;
  }

  std::optional<Error> hears(const Epoch& epoch, EpochNumber new_reign = {}) {
    epoch_ = epoch;
    new_reign_ = new_reign;
    return await<std::vector<TransactionId>>(
               [&](auto answer, auto refuse) { agent_->heartbeat({stamp(), {}, {}}, answer, refuse); })
        .refusal;
  }
  // The vote, or what the refusal is: "yes", "no: not_durable", "refused: set_back".
  std::string vote(const BranchId& id) {
    const auto outcome = await<VoteAnswer>(
        [&](auto answer, auto refuse) { agent_->prepare(stamp(), work_of(id), answer, refuse); });
    if (outcome.refusal) return fmt::format("refused: {}", name_of(outcome.refusal->code));
    if (outcome.answer->refusal)
      return fmt::format("{}: {}", name_of(outcome.answer->vote), name_of(outcome.answer->refusal->code));
    return std::string(name_of(outcome.answer->vote));
  }
  [[nodiscard]] Work work_of(const BranchId& id) const {
    Work work;
    work.id = id;
    work.resource = kBank;
    work.epoch = epoch_.number;
    work.incarnation = agent_->incarnation();
    work.statements = {Statement{"UPDATE account SET balance = 0 WHERE id = 7", {}, std::nullopt}};
    work.announced_statements = 1;
    work.timeout = 5s;
    return work;
  }
  Outcome<FinishAnswer> commit(const BranchId& id) {
    return await<FinishAnswer>(
        [&](auto answer, auto refuse) { agent_->commit(stamp(), id, kBank, answer, refuse); });
  }
  // Asks again as a coordinator does, until it is decided.
  bool commits(const BranchId& id) {
    return comes_true([&] {
      const auto outcome = commit(id);
      return outcome.answer && outcome.answer->end == BranchEnd::kCommitted;
    });
  }
  Outcome<FinishAnswer> resolve(const BranchId& id, bool to_commit) {
    return await<FinishAnswer>([&](auto answer, auto refuse) {
      agent_->resolve(id, kBank, {to_commit, "the host burns", "alice"}, answer, refuse);
    });
  }

  [[nodiscard]] LeaderStamp stamp() const { return {kCluster, epoch_, {epoch_.number, {1}}, new_reign_}; }
  [[nodiscard]] BranchId branch(std::uint64_t sequence) const {
    return {{kCluster, epoch_.number, {sequence}, std::nullopt}, {1}};
  }
  std::string audit() {
    std::ostringstream text;
    text << std::ifstream(directory_.file("audit.log")).rdbuf();
    return text.str();
  }
  // The session on which this agent prepared the branch.
  ConnectionId session_of(const BranchId& id) { return agent_->table().find(id)->session()->connection; }

  // A session of the role that is not the agent's, with a prepared branch; as a host that died leaves it.
  std::unique_ptr<DatabaseConnection> half_open(const BranchId& id) {
    auto session = database_->connect();
    EXPECT_TRUE(session);
    BranchWork work;
    work.start.id = id;
    work.mine = (*session)->read_server("")->owner;
    EXPECT_TRUE(std::holds_alternative<Prepared>((*session)->run_branch(work).outcome));
    return *std::move(session);
  }

  TemporaryDirectory directory_;
  asio::io_context loop_;
  std::shared_ptr<DoNothingDatabase> database_;
  std::optional<Coordinators> coordinators_;
  std::optional<Agent> agent_;
  Epoch epoch_{{5}, {1}};
  EpochNumber new_reign_;
  std::uint64_t nonce_ = 0;
};

// Attacks 4 and 29: everybody but the session that prepared it is told that there is no such branch. That session is
// found and ended, and the branch commits.
TEST_F(AgentTest, ABranchThatALostSessionHoldsIsFreed) {
  start({.ties = true});
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  const auto lost = half_open(branch(7));
  EXPECT_TRUE(commits(branch(7)));
  EXPECT_EQ(database_->committed(), 1U);
  EXPECT_FALSE(lost->list_prepared().has_value()) << "the session was ended";
}

// Attack 52: the agent's own sessions, and the branches on them, are spared.
TEST_F(AgentTest, NoSessionOfItsOwnIsEndedForAHostage) {
  start({.ties = true});
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  ASSERT_EQ(vote(branch(8)), "yes");
  const auto lost = half_open(branch(7));
  EXPECT_TRUE(commits(branch(7)));
  EXPECT_TRUE(commits(branch(8)));
  EXPECT_EQ(database_->committed(), 2U);
}

// Attack 29: the session that holds the branch is half-open on this side: no answer, and no end of it, ever comes.
TEST_F(AgentTest, ATiedSessionThatDoesNotAnswerIsEndedAndItsBranchFinishedElsewhere) {
  start({.ties = true});
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  ASSERT_EQ(vote(branch(7)), "yes");
  database_->silence(session_of(branch(7)));
  EXPECT_TRUE(commits(branch(7)));
  EXPECT_EQ(database_->committed(), 1U);
}

// Attacks 46 and 67: `troth resource take-over` makes the running agent serve again.
TEST_F(AgentTest, AResourceThatWasSetBackServesAgainAfterATakeOver) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  const auto stranger = database_->connect();
  ASSERT_TRUE(comes_true([&] { return (*stranger)->read_server("")->owner.counter > 1; }));
  ASSERT_EQ(vote(branch(7)), "yes");
  database_->set_back();
  ASSERT_TRUE(becomes(ResourceState::kSetBack));
  EXPECT_THAT(health().reason, HasSubstr("counter"));
  EXPECT_THAT(health().remedy, HasSubstr("troth resource take-over bank"));
  EXPECT_EQ(vote(branch(8)), "refused: set_back");
  EXPECT_EQ(resolve(branch(7), true).refusal->code, ErrorCode::kSetBack) << "not before somebody looked";

  ASSERT_TRUE(agent_->take_over(kBank, {"alice", "restored from the backup"}));
  ASSERT_TRUE(becomes(ResourceState::kServing));
  EXPECT_EQ(vote(branch(9)), "yes");
  EXPECT_TRUE(commits(branch(9)));
  const auto trail = audit();
  EXPECT_THAT(trail,
              HasSubstr("action=take-over resource=bank operator=alice reason=\"restored from the backup\" "
                        "before=\"set back: "));
  EXPECT_THAT(trail,
              HasSubstr("action=take-over-done resource=bank operator=alice reason=\"restored from the "
                        "backup\" after=serving caller=unproven\n"));
  EXPECT_TRUE(agent_->table().find(branch(7))->begun().set_back) << "[T5]";
}

// [T8] Attacks 11 and 55: only a reign that an operator began takes the running agent out of the stop; a restart of
// agent or coordinator does not.
TEST_F(AgentTest, AnAgentThatSawAnEpochTwiceGoesOnUnderANewReign) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  EXPECT_EQ(hears({{5}, {9}})->code, ErrorCode::kSetBack);
  EXPECT_EQ(health().state, ResourceState::kStopped);
  EXPECT_THAT(health().reason, HasSubstr("epoch 5 was handed out twice"));
  EXPECT_THAT(health().remedy, HasSubstr("troth cluster new-reign"));
  EXPECT_EQ(hears({{6}, {2}})->code, ErrorCode::kSetBack);
  restart();
  EXPECT_EQ(hears({{6}, {2}})->code, ErrorCode::kSetBack);
  EXPECT_EQ(health().state, ResourceState::kStopped);
  EXPECT_EQ(hears({{9}, {3}}, {8}), std::nullopt);
  ASSERT_TRUE(becomes(ResourceState::kServing));
  EXPECT_EQ(vote(branch(7)), "yes");
}

TEST_F(AgentTest, EveryStateOfAResourceHasItsWordItsReasonAndItsRemedy) {
  start();
  EXPECT_EQ(health().state, ResourceState::kStarting);
  ASSERT_TRUE(becomes(ResourceState::kServing));
  EXPECT_EQ(health(), (ResourceHealth{ResourceState::kServing, "", ""}));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);

  database_->lose_durability("fsync is off");
  EXPECT_EQ(vote(branch(7)), "no: not_durable");
  EXPECT_EQ(health().state, ResourceState::kNotDurable);
  EXPECT_EQ(health().reason, "fsync is off");
  EXPECT_THAT(health().remedy, HasSubstr("require_durability"));
  database_->lose_durability("");
  EXPECT_EQ(vote(branch(8)), "yes");
  EXPECT_EQ(health().state, ResourceState::kServing);

  database_->refuse_connections(true);
  for (std::uint64_t session = 1; session <= 100; ++session)
    database_->end({session});
  ASSERT_TRUE(becomes(ResourceState::kUnreachable));
  EXPECT_TRUE(comes_true([&] { return health().reason.find("takes no connections") != std::string::npos; }));
  EXPECT_THAT(health().remedy, HasSubstr("tries again by itself"));
  database_->refuse_connections(false);
  EXPECT_TRUE(becomes(ResourceState::kServing));
}

// Attack 30: the loser alone stops, says whose it is, and what to do.
TEST_F(AgentTest, AResourceThatAnotherAgentTookIsNotServed) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  const auto other = database_->connect();
  ASSERT_TRUE(comes_true([&] {
    const auto owner = (*other)->read_server("")->owner;
    return (*other)->claim_owner(owner, {{"agent-b"}, {9}, {99}, 0}).value_or(false);
  }));
  ASSERT_TRUE(becomes(ResourceState::kNotOwner));
  EXPECT_THAT(health().reason, HasSubstr("agent-b"));
  EXPECT_THAT(health().remedy, HasSubstr("troth resource take-over bank"));
}

// [T6] What a coordinator tells an agent that was here before is not for this one: its floors pass what this one owes.
TEST_F(AgentTest, AHeartbeatForAnotherAgentIsNotTaken) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  rpc::Gate gate(directory_.file("gate.log"));
  AgentService service(*agent_, gate);
  wire::HeartbeatRequest request;
  request.header.cluster = kCluster.value;
  request.header.epoch.number = 5;
  request.header.epoch.nonce = 1;
  bool taken = false;
  bool refused = false;
  const auto hear = [&] {
    service.heartbeat([&](const wire::HeartbeatReply&) { taken = true; },
                      [&](apache::thrift::TDelayedException* refusal) {
                        delete refusal;
                        refused = true;
                      },
                      request);
  };
  request.__set_agent_id("agent-b");
  hear();
  EXPECT_TRUE(refused);
  EXPECT_FALSE(agent_->table().epoch().has_value());
  request.__set_agent_id("agent-a");
  hear();
  EXPECT_TRUE(comes_true([&] { return taken; }));
  EXPECT_TRUE(agent_->table().epoch().has_value());
}

// A shutdown waits for the work that runs, and for no more than that.
TEST_F(AgentTest, NothingBeginsWhileTheAgentShutsDown) {
  start({.blocking_statement = "UPDATE account SET balance = 0 WHERE id = 7"});
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  std::optional<Vote> running;
  agent_->prepare(
      stamp(), work_of(branch(7)), [&](const VoteAnswer& answer) { running = answer.vote; },
      [](const Error& error) { ADD_FAILURE() << error.message; });
  ASSERT_TRUE(comes_true([&] { return database_->blocked() == 1; }));
  bool down = false;
  agent_->shut_down(1min, [&] { down = true; });
  EXPECT_EQ(vote(branch(8)), "refused: unavailable");
  EXPECT_FALSE(down);
  database_->release();
  EXPECT_TRUE(comes_true([&] { return down; }));
  EXPECT_EQ(running, Vote::kYes);
}

// Attack 67: what an operator does by hand is written down before it is done, with what it was, and then what it
// came to.
TEST_F(AgentTest, AResolvedBranchLeavesTwoLinesInTheAuditTrail) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  ASSERT_EQ(vote(branch(7)), "yes");
  EXPECT_EQ(resolve(branch(7), true).answer->end, BranchEnd::kHeuristicCommitted);
  const std::string named =
      "transaction=bank-x7k2p9.5.7 branch=1 resource=bank outcome=commit operator=alice "
      "reason=\"the host burns\" ";
  EXPECT_THAT(audit(), HasSubstr("action=resolve " + named + "before=prepared caller=unproven\n"));
  EXPECT_THAT(audit(),
              HasSubstr("action=resolve-done " + named + "after=\"heuristic committed\" caller=unproven\n"));
  EXPECT_EQ(resolve(branch(99), true).refusal->code, ErrorCode::kUnknownTransaction);
  EXPECT_THAT(audit(), HasSubstr("after=\"refused: "));
}

TEST_F(AgentTest, NothingIsDoneByHandThatCannotBeWrittenDown) {
  start();
  ASSERT_TRUE(becomes(ResourceState::kServing));
  ASSERT_EQ(hears({{5}, {1}}), std::nullopt);
  ASSERT_EQ(vote(branch(7)), "yes");
  ASSERT_TRUE(std::filesystem::create_directory(directory_.file("audit.log")));
  EXPECT_EQ(resolve(branch(7), true).refusal->code, ErrorCode::kIo);
  EXPECT_EQ(agent_->take_over(kBank, {"alice", "why"}).error().code, ErrorCode::kIo);
  EXPECT_EQ(agent_->table().find(branch(7))->phase(), Branch::Phase::kInDoubt);
  EXPECT_EQ(database_->committed(), 0U);
}

}  // namespace
}  // namespace troth::agent
