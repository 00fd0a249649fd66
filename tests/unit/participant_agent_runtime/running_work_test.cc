// A cancellation belongs to a connection, which has another branch's work next.
#include "participant_agent/runtime/running_work.h"

#include <thread>

#include <gtest/gtest.h>

#include "tests/support/do_nothing_database.h"

namespace troth::agent {
namespace {

RunningWork::Run work_of(std::string statement) {
  BranchWork work;
  work.start.id = {{ClusterId{"bank-x7k2p9"}, EpochNumber{1}, Sequence{1}, std::nullopt}, BranchNumber{1}};
  work.statements.push_back({std::move(statement), {}, std::nullopt});
  work.ending = BranchEnding::kPrepare;
  return [work](DatabaseConnection& connection) { return connection.run_branch(work); };
}

TEST(RunningWork, ACancelThatComesTooLateDoesNotHitTheNextBranch) {
  const auto database = std::make_shared<DoNothingDatabase>();
  const auto connection = *database->connect();
  RunningWork work(work_of("anything"));
  work.run(*connection);
  EXPECT_EQ(work.cancel(), nullptr);
  EXPECT_FALSE(connection->cancellation()->requested());
}

// The watch that repeats it runs on a thread of its own, perhaps after the session has gone on.
TEST(RunningWork, ACancelIsSeenBeforeTheSessionGoesOn) {
  const auto database = std::make_shared<DoNothingDatabase>();
  const auto connection = *database->connect();
  RunningWork work(work_of("block"));
  std::thread session([&] { work.run(*connection); });
  while (database->blocked() == 0)
    std::this_thread::yield();
  const auto cancellation = work.cancel();
  ASSERT_NE(cancellation, nullptr);
  EXPECT_TRUE(connection->cancellation()->requested());
  database->release();
  session.join();
}

}  // namespace
}  // namespace troth::agent
