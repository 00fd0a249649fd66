// The pool on a database that does nothing: order, limits, tied sessions, deadlines, lost sessions, shutdown.
// Runs under ThreadSanitizer.
#include "participant_agent/runtime/session_pool.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/do_nothing_database.h"
#include "tests/support/holds_within.h"
#include "tests/unit/participant_agent_runtime/event_loop.h"
#include "tests/unit/participant_agent_runtime/pool_answers.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class SessionPoolTest : public testing::Test {
 protected:
  void start(SessionPoolOptions options, DoNothingOptions database = {}) {
    options.resource = {"bank"};
    database_ = std::make_shared<DoNothingDatabase>(database);
    pool_ = std::make_unique<SessionPool>(
        options, [database = database_] { return database->connect(); },
        [this](std::function<void()> event) { loop_.post(std::move(event)); });
  }

  BranchWork work(const std::string& statement = "work") {
    BranchWork work;
    work.start.id = {
        .transaction = {.cluster = {"test-000001"}, .epoch = {1}, .sequence = {++sequence_}, .one_phase = {}},
        .branch = {1}};
    work.statements.push_back({.sql = statement, .parameters = {}, .expect_rows = {}});
    return work;
  }

  std::future<BranchAnswer> submit(const BranchWork& work, Duration limit = 10s) {
    return submit_branch(*pool_, work, limit);
  }
  void wait_until_blocked(std::size_t count) {
    ASSERT_TRUE(holds_within(10s, [&] { return database_->blocked() == count; }));
  }

  EventLoop loop_;
  std::shared_ptr<DoNothingDatabase> database_;
  std::unique_ptr<SessionPool> pool_;
  std::uint64_t sequence_ = 0;
};

bool prepared(const BranchAnswer& answer) {
  return std::holds_alternative<Prepared>(answer.result.outcome);
}

Error refusal(const BranchAnswer& answer) {
  const auto* refused = std::get_if<Refused>(&answer.result.outcome);
  return refused == nullptr ? Error{} : refused->error;
}

TEST_F(SessionPoolTest, SessionsConnectOnlyWhenTheyAreNeeded) {
  start({.sessions = 4});
  EXPECT_EQ(database_->sessions(), 0U);
  EXPECT_TRUE(prepared(submit(work()).get()));
  EXPECT_EQ(database_->sessions(), 1U);
  EXPECT_EQ(pool_->counts().sessions, 1U);
}

TEST_F(SessionPoolTest, NoMoreTasksRunAtOnceThanThereAreSessions) {
  start({.sessions = 2});
  std::vector<std::future<BranchAnswer>> answers;
  for (int i = 0; i < 6; ++i)
    answers.push_back(submit(work("block")));
  wait_until_blocked(2);
  EXPECT_EQ(pool_->counts().busy, 2U);
  EXPECT_EQ(pool_->counts().queued, 4U);
  for (int round = 0; round < 3; ++round) {
    wait_until_blocked(2);
    database_->release();
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(prepared(answers[static_cast<std::size_t>(2 * round + i)].get()));
  }
}

TEST_F(SessionPoolTest, TaskPastTheQueueLimitIsRefusedAsOverloaded) {
  start({.sessions = 1, .queue_limit = 1});
  auto running = submit(work("block"));
  wait_until_blocked(1);
  auto waiting = submit(work());
  const Error error = refusal(submit(work()).get());
  EXPECT_EQ(error.code, ErrorCode::kOverloaded);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_TRUE(error.retryable);
  EXPECT_TRUE(error.retry_after.has_value());
  EXPECT_EQ(error.resource, "bank");
  database_->release();
  EXPECT_TRUE(prepared(running.get()));
  EXPECT_TRUE(prepared(waiting.get()));
}

TEST_F(SessionPoolTest, TaskWhoseTimeIsUpInTheQueueIsRefused) {
  start({.sessions = 1});
  auto running = submit(work("block"));
  wait_until_blocked(1);
  auto late = submit(work(), 0ms);
  pool_->refuse_expired();
  EXPECT_EQ(refusal(late.get()).code, ErrorCode::kTimeout);
  auto found_late = submit(work(), 0ms);
  database_->release();
  EXPECT_EQ(refusal(found_late.get()).code, ErrorCode::kTimeout);
  EXPECT_TRUE(prepared(running.get()));
}

TEST_F(SessionPoolTest, StatementPastItsDeadlineIsCancelledAndItsSessionClosed) {
  start({.sessions = 1});
  const BranchAnswer answer = submit(work("block"), 50ms).get();
  EXPECT_EQ(refusal(answer).code, ErrorCode::kTimeout);
  EXPECT_EQ(answer.fate, BackendFate::kAlive);
  EXPECT_TRUE(holds_within(10s, [&] { return database_->sessions() == 0; }));
  EXPECT_TRUE(prepared(submit(work()).get()));
}

// [T11]
TEST_F(SessionPoolTest, LostSessionIsAnsweredOnceItsBackendIsGone) {
  start({.sessions = 1});
  auto answer = submit(work("block"));
  wait_until_blocked(1);
  database_->end({1});
  const BranchAnswer lost = answer.get();
  EXPECT_TRUE(std::holds_alternative<Lost>(lost.result.outcome));
  EXPECT_EQ(lost.fate, BackendFate::kGone);
}

TEST_F(SessionPoolTest, LostSessionOfAnUnreachableServerMayStillRun) {
  start({.sessions = 1});
  auto answer = submit(work("block"));
  wait_until_blocked(1);
  database_->refuse_connections(true);
  database_->end({1});
  EXPECT_EQ(answer.get().fate, BackendFate::kMayStillRun);
}

TEST_F(SessionPoolTest, ReconnectsAfterABackOffAndSaysWhen) {
  start({.sessions = 1, .reconnect_min = 50ms, .reconnect_max = 100ms});
  database_->refuse_connections(true);
  const Error first = refusal(submit(work()).get());
  EXPECT_EQ(first.code, ErrorCode::kUnavailable);
  EXPECT_EQ(first.effect, Effect::kNone);
  EXPECT_EQ(first.retry_after, 50ms);
  database_->refuse_connections(false);
  EXPECT_TRUE(holds_within(10s, [&] { return prepared(submit(work()).get()); }));
}

// MariaDB: the branch ends on the session that prepared it, and other work goes on meanwhile.
TEST_F(SessionPoolTest, TiedSessionsWaitForTheirBranchesWhileOthersServe) {
  start({.sessions = 1, .tied_sessions = 2}, {.ties = true});
  std::vector<BranchWork> works;
  for (int i = 0; i < 3; ++i) {
    works.push_back(work());
    ASSERT_TRUE(prepared(submit(works.back()).get()));
  }
  EXPECT_EQ(pool_->counts().tied, 3U);
  EXPECT_EQ(pool_->counts().sessions, 3U);
  auto waits = submit(work());
  EXPECT_TRUE(holds_within(10s, [&] { return pool_->counts().queued == 1; }));
  for (const BranchWork& one : works)
    EXPECT_TRUE(submit_end(*pool_, one.start.id, PreparedEnding::kCommit).get().has_value());
  EXPECT_TRUE(prepared(waits.get()));
  EXPECT_EQ(database_->committed(), 3U);
}

// Each holds a session between its statements: there must be some left for the work of others.
TEST_F(SessionPoolTest, InteractiveBranchesTieNoMoreSessionsThanTheyMay) {
  start({.sessions = 1, .tied_sessions = 2});
  const auto open = [this](const BranchWork& branch) {
    auto answer = std::make_shared<std::promise<Status>>();
    SessionTask task;
    task.branch = branch.start.id;
    task.opens_interactive = true;
    task.deadline = boot_now() + 10s;
    task.run = [branch](DatabaseConnection& connection) {
      static_cast<void>(connection.run_statement(branch, {{"work", {}, {}}, 1, true, true}));
    };
    task.done = [answer](const Status& status, BackendFate) { answer->set_value(status); };
    pool_->submit(std::move(task));
    return answer->get_future().get();
  };
  const BranchWork first = work();
  ASSERT_TRUE(open(first).has_value());
  ASSERT_TRUE(open(work()).has_value());
  const Status refused = open(work());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_NE(refused.error().message.find("`tied_sessions`"), std::string::npos);
  EXPECT_TRUE(prepared(submit(work()).get()));
  EXPECT_EQ(pool_->counts().tied, 2U);

  std::promise<void> rolled_back;
  SessionTask end;
  end.branch = first.start.id;
  end.deadline = boot_now() + 10s;
  end.run = [&first](DatabaseConnection& connection) { static_cast<void>(connection.roll_back_open(first)); };
  end.done = [&rolled_back](const Status&, BackendFate) { rolled_back.set_value(); };
  pool_->submit(std::move(end));
  rolled_back.get_future().get();
  EXPECT_TRUE(open(work()).has_value());
}

TEST_F(SessionPoolTest, BranchOfALostTiedSessionIsFinishedByAnother) {
  start({.sessions = 1, .tied_sessions = 2}, {.ties = true});
  const BranchWork one = work();
  const BranchAnswer answer = submit(one).get();
  ASSERT_TRUE(prepared(answer));
  database_->end(answer.result.session.connection);
  const Answer<void> lost = submit_end(*pool_, one.start.id, PreparedEnding::kCommit).get();
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().meaning, Meaning::kConnectionLost);
  EXPECT_TRUE(submit_end(*pool_, one.start.id, PreparedEnding::kCommit).get().has_value());
  EXPECT_EQ(pool_->counts().tied, 0U);
}

TEST_F(SessionPoolTest, ShutDownStopsWhatRunsAndRefusesWhatWaits) {
  start({.sessions = 1});
  auto running = submit(work("block"), 600s);
  wait_until_blocked(1);
  auto waiting = submit(work());
  pool_->shut_down();
  EXPECT_EQ(refusal(running.get()).code, ErrorCode::kTimeout);
  EXPECT_EQ(refusal(waiting.get()).code, ErrorCode::kUnavailable);
  EXPECT_EQ(refusal(submit(work()).get()).code, ErrorCode::kUnavailable);
  EXPECT_EQ(database_->sessions(), 0U);
}

// Every task is answered exactly once, whatever happens to the sessions meanwhile.
TEST_F(SessionPoolTest, ManyCallersGetOneAnswerEachWhileSessionsDie) {
  for (const bool ties : {false, true}) {
    start({.sessions = 4, .tied_sessions = 8, .queue_limit = 10'000}, {.ties = ties});
    constexpr int kCallers = 4;
    constexpr int kBranches = 50;
    std::atomic<int> answered{0};
    std::atomic<int> finished{0};
    std::vector<std::vector<BranchWork>> works(kCallers);
    for (auto& of_one : works)
      for (int i = 0; i < kBranches; ++i)
        of_one.push_back(work());
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        for (const BranchWork& one : works[static_cast<std::size_t>(caller)]) {
          const BranchAnswer answer = submit(one).get();
          ++answered;
          if (!prepared(answer)) continue;
          if (holds_within(10s, [&] {
                return submit_end(*pool_, one.start.id, PreparedEnding::kCommit).get().has_value();
              }))
            ++finished;
        }
      });
    }
    std::atomic<bool> stop{false};
    std::thread killer([&] {
      for (std::uint64_t session = 1; !stop; ++session) {
        database_->end({session});
        static_cast<void>(holds_within(20ms, [&] { return stop.load(); }));
      }
    });
    for (std::thread& caller : callers)
      caller.join();
    stop = true;
    killer.join();
    EXPECT_EQ(answered, kCallers * kBranches);
    EXPECT_EQ(static_cast<std::size_t>(finished.load()), database_->committed());
    pool_->shut_down();
  }
}

}  // namespace
}  // namespace troth::agent
