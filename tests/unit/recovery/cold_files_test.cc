// What `troth` does to files: a stopped coordinator's data directory and its log.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/durable_file.h"
#include "recovery/runtime/offline_store.h"
#include "recovery/runtime/tool.h"
#include "tests/support/fake_cluster.h"
#include "tests/support/temporary_directory.h"

namespace troth::recovery {
namespace {

namespace store = coordinator::store;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int code = 0;
  std::string output;
  std::string errors;
};

Ran run(std::vector<std::string> words) {
  words.insert(words.begin(), {"--operator", "alice"});
  std::ostringstream output, errors;
  const int code = run_tool(std::move(words), output, errors);
  return {code, output.str(), errors.str()};
}

class ColdFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto identity = DataDirectory::init(path_, OwnerKind::kCoordinator, "bank");
    ASSERT_TRUE(identity) << identity.error().message;
    cluster_id_ = identity->cluster;
    // Two reigns, and one commit in the second.
    auto data = DataDirectory::open(path_, OwnerKind::kCoordinator);
    auto offline = OfflineStore::open(*data);
    ASSERT_TRUE(offline) << offline.error().message;
    for (const std::uint64_t nonce : {1, 2}) {
      const auto answer = (*offline)->ask(store::AcquireEpoch{.nonce = {nonce}});
      ASSERT_TRUE(std::holds_alternative<store::EpochAcquired>(answer));
    }
    const auto chosen = (*offline)->ask(store::Choose{
        {2},
        store::CommitRecord{
            .transaction = id(7), .branches = {{{1}, {1}}, {{2}, {2}}}, .label = "transfer 7"}});
    ASSERT_TRUE(std::holds_alternative<store::Won>(chosen));
    answers_.agent = wire::AgentStatus{};
    answers_.agent->agent_id = "pg-aaaaaa";
    answers_.agent->epoch.number = 17;
  }

  [[nodiscard]] TransactionId id(std::uint64_t sequence) const { return {cluster_id_, {2}, {sequence}, {}}; }

  void agent_holds(std::uint64_t sequence) {
    wire::InDoubtBranch held;
    held.resource = "accounts_pg";
    held.transaction_id = id(sequence).text();
    held.branch = 1;
    held.state = "prepared";
    answers_.agent->in_doubt.push_back(held);
  }

  Ran new_reign(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"cluster",  "new-reign",      path_, "--agent", fake_.address(),
                                      "--reason", "backup of 03:00"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  [[nodiscard]] std::string audit() const { return read_file(path_ + "/audit.log", 1 << 16).value_or(""); }

  TemporaryDirectory temporary_;
  std::string path_ = temporary_.file("data");
  ClusterId cluster_id_;
  FakeCluster fake_;
  FakeAnswers& answers_ = fake_.answers;
};

// [T8] Attack 55: "set back" has a way out: an epoch above all that the agents have seen.
TEST_F(ColdFiles, NewReignIsAboveEveryAgentsAndStaysSo) {
  agent_holds(7);
  const auto ran = new_reign();
  EXPECT_EQ(ran.code, 0) << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("is in epoch 118 now"));
  EXPECT_THAT(ran.output, HasSubstr("1 branch held by agents will commit, 0 will be rolled back"));
  EXPECT_THAT(audit(), HasSubstr("action=new-reign cluster=" + cluster_id_.value +
                                 " before=\"epoch 2\" above=117 losses=0 operator=alice "
                                 "reason=\"backup of 03:00\"\n"));
  EXPECT_THAT(audit(), HasSubstr("operator=alice reason=\"backup of 03:00\" after=\"epoch 118\"\n"));
  auto data = DataDirectory::open(path_, OwnerKind::kCoordinator);
  auto offline = OfflineStore::open(*data);
  const auto next = (*offline)->ask(store::AcquireEpoch{.nonce = {9}});
  EXPECT_EQ(std::get<store::EpochAcquired>(next).epoch.number, EpochNumber{119});
  EXPECT_EQ(std::get<store::EpochAcquired>(next).new_reign, EpochNumber{118})
      << "what agents that stopped wait for";
}

// [T5] What the restored store does not know would be rolled back: only with the operator's word.
TEST_F(ColdFiles, NewReignStopsBeforeItWouldRollAHeldBranchBack) {
  agent_holds(7);
  agent_holds(8);
  const auto stopped = new_reign();
  EXPECT_EQ(stopped.code, 5);
  EXPECT_THAT(stopped.output, HasSubstr("nothing was done"));
  EXPECT_THAT(stopped.output, HasSubstr(id(8).text()));
  EXPECT_THAT(stopped.output, Not(HasSubstr(id(7).text()))) << "that one is on record";
  EXPECT_EQ(audit(), "");
  const auto done = new_reign({"--roll-back-undecided"});
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_THAT(audit(), HasSubstr("losses=1"));
}

TEST_F(ColdFiles, NewReignNeedsEveryAgentThatWasNamed) {
  const auto ran = new_reign({"--agent", "127.0.0.1:1"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(audit(), "");
}

TEST_F(ColdFiles, NewReignRefusesAnAgentOfAnotherCluster) {
  agent_holds(7);
  answers_.agent->in_doubt[0].transaction_id = "shop-bbbbbb.1.1";
  const auto ran = new_reign();
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("is not of cluster " + cluster_id_.value));
}

TEST_F(ColdFiles, NewReignRefusesWhileTheCoordinatorRuns) {
  const auto running = DataDirectory::open(path_, OwnerKind::kCoordinator);
  const auto ran = new_reign();
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("in use by another process"));
}

TEST_F(ColdFiles, NewReignWorksFromTheOperatorsNumberAlone) {
  const auto ran =
      run({"--json", "cluster", "new-reign", path_, "--above", "140", "--reason", "agents are lost"});
  EXPECT_EQ(ran.code, 0) << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("\"epoch\": 141"));
}

TEST_F(ColdFiles, LogVerifySaysThatAWholeLogIsWhole) {
  const auto ran = run({"log", "verify", path_ + "/log"});
  EXPECT_EQ(ran.code, 0) << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("log of decision-store in cluster " + cluster_id_.value));
  EXPECT_THAT(ran.output, HasSubstr("whole: every byte is as it was written"));
}

TEST_F(ColdFiles, LogDumpTellsWhatTheRecordsSay) {
  const auto ran = run({"log", "dump", path_ + "/log"});
  EXPECT_EQ(ran.code, 0) << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("commit transaction=" + id(7).text() + " branches=1@1,2@2"));
  EXPECT_THAT(ran.output, HasSubstr("label=\"transfer 7\""));
  EXPECT_THAT(ran.output, HasSubstr("epoch number=2"));
  const auto json = run({"--json", "log", "dump", path_ + "/log"});
  EXPECT_THAT(json.output, HasSubstr("{\"line\":\"record\""));
  EXPECT_THAT(json.output, HasSubstr("{\"verdict\":\"clean\""));
}

TEST_F(ColdFiles, LogVerifyFindsADamagedByte) {
  // The first epoch's record: damage before the last batch.
  for (const auto& entry : std::filesystem::directory_iterator(path_ + "/log")) {
    if (entry.file_size() < 16384) continue;
    std::fstream segment(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    segment.seekp(2 * 4096 + 80);
    segment.put('\x5a');
  }
  const auto ran = run({"log", "verify", path_ + "/log"});
  EXPECT_EQ(ran.code, 5) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("it will not be opened"));
}

TEST_F(ColdFiles, AMissingLogIsNamed) {
  const auto ran = run({"log", "verify", path_ + "/nowhere"});
  EXPECT_NE(ran.code, 0);
  EXPECT_THAT(ran.errors, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace troth::recovery
