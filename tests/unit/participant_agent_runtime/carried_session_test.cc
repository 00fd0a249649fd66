// What the event loop carries of a session's task, and where the session's thread goes on. Runs under ThreadSanitizer.
#include "participant_agent/runtime/carried_session.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <asio/post.hpp>
#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/session_pool.h"
#include "tests/support/holds_within.h"
#include "tests/unit/participant_agent_runtime/carrying_loop.h"
#include "tests/unit/participant_agent_runtime/scripted_connection.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class CarriedSessionTest : public testing::Test {
 protected:
  CarriedSessionTest() {
    script_.on_loop(loop_.thread());
    loop_.run([this] {
      pool_ = std::make_unique<SessionPool>(
          SessionPoolOptions{.resource = {"bank"},
                             .sessions = 1,
                             .cancel = {.repeat_after = 50ms, .break_off_after = 400ms}},
          [this]() -> Result<std::unique_ptr<DatabaseConnection>> {
            return std::make_unique<ScriptedConnection>(script_);
          },
          [this](std::function<void()> done) { asio::post(loop_.loop(), std::move(done)); }, &loop_.loop());
    });
  }
  ~CarriedSessionTest() override {
    loop_.run([this] { pool_.reset(); });
  }

  struct Answered {
    Status status;
    BackendFate fate = BackendFate::kAlive;
    int times = 0;
  };
  // Its answer, and how often it came, are looked at on the loop.
  std::shared_ptr<Answered> submit(Duration limit = 10s) {
    auto answered = std::make_shared<Answered>();
    loop_.run([this, answered, limit] {
      SessionTask task;
      task.start = [this](DatabaseConnection& connection) { return connection.start_branch(branch_); };
      task.run = [this](DatabaseConnection& connection) {
        static_cast<void>(connection.run_branch(branch_));
      };
      task.done = [answered](Status status, BackendFate fate) {
        *answered = {std::move(status), fate, answered->times + 1};
      };
      task.deadline = boot_now() + limit;
      pool_->submit(std::move(task));
    });
    return answered;
  }
  void expect_answer(const std::shared_ptr<Answered>& answered) {
    EXPECT_TRUE(holds_within(10s, [&] {
      int times = 0;
      loop_.run([&] { times = answered->times; });
      return times > 0;
    }));
  }
  void expect_log(const std::string& expected) {
    EXPECT_TRUE(holds_within(10s, [&] { return script_.log() == expected; })) << script_.log();
  }
  // The session's thread runs the first task, since there is no connection yet.
  void open() {
    expect_answer(submit());
    expect_log("open@thread run@thread clean@thread");
    ASSERT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
    script_.clear_log();
  }

  Script script_;
  CarryingLoop loop_;
  BranchWork branch_;
  std::unique_ptr<SessionPool> pool_;
};

TEST_F(CarriedSessionTest, WhatGoesWellWakesNoThread) {
  open();
  for (int round = 0; round < 2; ++round) {
    script_.clear_log();
    script_.arrives({Arrival::kMore, Arrival::kWell, Arrival::kMore, Arrival::kWell});
    const auto answered = submit();
    script_.input();
    expect_log("start@loop");
    script_.input();
    expect_answer(answered);
    expect_log("start@loop run@loop");
    EXPECT_EQ(pool_->counts().busy, 1U) << "it is not clean yet";
    script_.input();
    expect_log("start@loop run@loop clean@loop");
    EXPECT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
    EXPECT_TRUE(answered->status.has_value());
    EXPECT_EQ(answered->times, 1);
  }
}

// As an answer that is shorter than usual: nobody is told of it, so somebody looks.
TEST_F(CarriedSessionTest, WhatArrivesUnseenIsLookedForAgain) {
  open();
  script_.arrives_unseen(true);
  for (int round = 0; round < 3; ++round) {
    script_.clear_log();
    script_.arrives({Arrival::kMore, Arrival::kMore, Arrival::kWell, Arrival::kWell});
    const auto answered = submit();
    expect_answer(answered);
    expect_log("start@loop run@loop clean@loop");
    EXPECT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
    EXPECT_EQ(answered->times, 1);
  }
  script_.clear_log();
  script_.arrives({Arrival::kMore, Arrival::kIll});
  expect_answer(submit());
  expect_log("start@loop run@thread clean@thread");
}

// A look and the input that it was about, in any order: the task is answered once, and the next one is another.
TEST_F(CarriedSessionTest, LookAndInputTogetherAreOneArrival) {
  open();
  script_.arrives_unseen(true);
  for (int round = 0; round < 100; ++round) {
    script_.clear_log();
    script_.arrives({Arrival::kMore, Arrival::kWell, Arrival::kMore, Arrival::kWell});
    const auto answered = submit();
    for (int input = 0; input < round % 4; ++input)
      script_.input();
    expect_answer(answered);
    EXPECT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
    EXPECT_EQ(answered->times, 1);
    EXPECT_EQ(script_.log(), "start@loop run@loop clean@loop");
  }
}

TEST_F(CarriedSessionTest, WhatCannotBeStartedIsTheThreads) {
  open();
  script_.starts(false);
  expect_answer(submit());
  expect_log("start@loop run@thread clean@thread");
}

TEST_F(CarriedSessionTest, WhatWouldWaitGoesOnOnTheThread) {
  open();
  script_.arrives({Arrival::kMore, Arrival::kIll});
  const auto answered = submit();
  script_.input();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@thread clean@thread");
  EXPECT_EQ(answered->times, 1);
}

TEST_F(CarriedSessionTest, CleaningThatWouldWaitIsTheThreadsAndTheAnswerComesOnce) {
  open();
  script_.arrives({Arrival::kWell, Arrival::kIll});
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop clean@thread");
  EXPECT_EQ(answered->times, 1);
}

TEST_F(CarriedSessionTest, WhatIsNotCleanIsCleanedOrClosedByTheThread) {
  open();
  script_.cleans_up_on_loop(false);
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop clean@loop clean@thread");
}

TEST_F(CarriedSessionTest, DoubtfulSessionIsClosedAndItsTaskAnsweredOnce) {
  open();
  script_.is_left(ConnectionCondition::kDoubtful);
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop close@thread");
  EXPECT_EQ(answered->times, 1);
}

// [T11]
TEST_F(CarriedSessionTest, LostSessionIsAnsweredOnceItsBackendIsGone) {
  open();
  script_.is_left(ConnectionCondition::kLost);
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  EXPECT_EQ(answered->fate, BackendFate::kGone);
  EXPECT_EQ(answered->times, 1);
}

// A request to stop may still be under way when the answer has come.
TEST_F(CarriedSessionTest, SessionThatWasAskedToStopIsClosed) {
  open();
  script_.cancels_itself(true);
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop close@thread");
  EXPECT_EQ(answered->times, 1);
}

TEST_F(CarriedSessionTest, TaskPastItsDeadlineIsInterruptedWhileItIsWaitedFor) {
  open();
  // What arrives next comes of the interruption.
  script_.arrives({Arrival::kIll});
  const auto answered = submit(50ms);
  expect_answer(answered);
  expect_log("start@loop run@thread close@thread");
}

TEST_F(CarriedSessionTest, TaskThatWaitedForASessionIsCarriedNext) {
  open();
  script_.arrives({Arrival::kMore});
  const auto first = submit();
  const auto second = submit();
  EXPECT_EQ(pool_->counts().queued, 1U);
  script_.input();
  script_.input();
  expect_answer(first);
  script_.input();
  expect_answer(second);
  expect_log("start@loop run@loop clean@loop start@loop run@loop clean@loop");
}

TEST_F(CarriedSessionTest, OldSessionIsReplacedByTheThread) {
  open();
  loop_.run([this] { pool_->renew(); });
  expect_answer(submit());
  expect_log("close@thread open@thread run@thread clean@thread");
}

// A call that goes on at the thread then is asked to stop first: broken off, nobody would know what became of it.
TEST_F(CarriedSessionTest, ShutDownAsksBeforeItBreaksOff) {
  open();
  script_.arrives({Arrival::kMore});
  script_.runs_until_asked_to_stop(true);
  const auto answered = submit();
  loop_.run([this] { pool_->shut_down(); });
  expect_answer(answered);
  EXPECT_EQ(script_.log().find("break_off"), std::string::npos) << script_.log();
}

// The vote was told, and the server says nothing more: as when it is paused.
TEST_F(CarriedSessionTest, CleaningThatNeverComesIsBrokenOff) {
  open();
  script_.arrives({Arrival::kWell, Arrival::kIll});
  script_.cleans_up_until_broken_off(true);
  const auto answered = submit(100ms);
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop clean@thread break_off@thread close@thread");
  EXPECT_EQ(answered->times, 1);
}

TEST_F(CarriedSessionTest, CleaningIsNotWaitedForPastTheDeadline) {
  open();
  script_.arrives({Arrival::kWell, Arrival::kMore, Arrival::kIll});
  const auto answered = submit(100ms);
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop close@thread");
  EXPECT_EQ(answered->times, 1);
}

TEST_F(CarriedSessionTest, ShutDownEndsACleaningThatNeverComes) {
  open();
  script_.arrives({Arrival::kWell, Arrival::kIll});
  script_.cleans_up_until_broken_off(true);
  const auto answered = submit();
  script_.input();
  expect_answer(answered);
  expect_log("start@loop run@loop clean@thread");
  loop_.run([this] { pool_->shut_down(); });
  expect_log("start@loop run@loop clean@thread break_off@thread close@thread");
}

TEST_F(CarriedSessionTest, ShutDownHandsOverWhatTheLoopCarries) {
  open();
  script_.arrives({Arrival::kMore});
  const auto answered = submit();
  loop_.run([this] { pool_->shut_down(); });
  expect_answer(answered);
  EXPECT_EQ(answered->times, 1);
  EXPECT_TRUE(script_.log().starts_with("start@loop run@thread")) << script_.log();
  EXPECT_TRUE(script_.log().ends_with("close@thread")) << script_.log();
}

}  // namespace
}  // namespace troth::agent
