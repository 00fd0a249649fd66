// A pool on a real Postgres whose sessions an event loop carries: what stops, hangs, is lost or floods under it.
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/running_work.h"
#include "participant_agent/runtime/session_pool.h"
#include "tests/unit/participant_agent_runtime/pool_answers.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// The loop's own thread, so that it is stopped behind the pool.
class CarryingLoop {
 public:
  CarryingLoop() : thread_([this] { loop_.run(); }) {}
  ~CarryingLoop() {
    work_.reset();
    thread_.join();
  }
  CarryingLoop(const CarryingLoop&) = delete;
  CarryingLoop& operator=(const CarryingLoop&) = delete;

  [[nodiscard]] asio::io_context& loop() { return loop_; }

  template <typename Act>
  void run(Act act) {
    std::promise<void> done;
    asio::post(loop_, [&] {
      act();
      done.set_value();
    });
    done.get_future().get();
  }

  // The longest turn of the loop while `act` runs elsewhere.
  template <typename Act>
  Duration longest_turn(Act act) {
    Duration longest{};
    auto acting = std::async(std::launch::async, act);
    while (acting.wait_for(0ms) != std::future_status::ready) {
      const Instant began = boot_now();
      run([] {});
      longest = std::max(longest, boot_now() - began);
    }
    acting.get();
    return longest;
  }

 private:
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::thread thread_;
};

class CarriedPoolTest : public DatabaseTest {
 protected:
  // A pool of one session, which knows the statement of `transfer`.
  void open(const ConnectOptions& options, const DeadlineWatchOptions& cancel = {}) {
    loop_.run([&] {
      pool_ = std::make_unique<SessionPool>(
          SessionPoolOptions{.resource = {"bank"}, .sessions = 1, .cancel = cancel},
          [this, options]() -> Result<std::unique_ptr<DatabaseConnection>> {
            auto opened = connect_to(DatabaseKind::kPostgres, options);
            if (opened.has_value()) descriptor_ = *(*opened)->descriptor();
            return opened;
          },
          [this](std::function<void()> done) { asio::post(loop_.loop(), std::move(done)); }, &loop_.loop());
    });
    warm(resource().transfer(1, 1));
  }
  void TearDown() override {
    loop_.run([this] { pool_.reset(); });
  }

  // Its statements are known behind this.
  void warm(const BranchWork& work) {
    const BranchAnswer answer = submit(work).get();
    ASSERT_TRUE(ended_as<Prepared>(answer.result));
    session_ = answer.result.session;
    wait_until_free();
    ASSERT_TRUE(end(work, PreparedEnding::kRollBack));
  }
  void wait_until_free() {
    ASSERT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
  }

  std::future<BranchAnswer> submit(const BranchWork& work, Duration limit = 10s) {
    const auto shared = std::make_shared<const BranchWork>(work);
    running_ = std::make_shared<RunningWork>(
        [shared](DatabaseConnection& connection) { return connection.run_branch(*shared); },
        [this, shared](DatabaseConnection& connection) {
          const bool started = connection.start_branch(*shared);
          if (started) ++started_;
          return started;
        });
    auto promise = std::make_shared<std::promise<BranchAnswer>>();
    SessionTask task;
    task.branch = work.start.id;
    task.deadline = boot_now() + limit;
    task.run = [running = running_](DatabaseConnection& connection) { running->run(connection); };
    task.start = [running = running_](DatabaseConnection& connection) { return running->start(connection); };
    task.done = [promise, running = running_](Status status, BackendFate fate) {
      if (status.has_value()) {
        promise->set_value({running->take_result(), fate});
      } else {
        promise->set_value({{.outcome = Refused{status.error()}, .results = {}, .session = {}}, fate});
      }
    };
    loop_.run([&] { pool_->submit(std::move(task)); });
    return promise->get_future();
  }

  bool end(const BranchWork& work, PreparedEnding ending) {
    auto promise = std::make_shared<std::promise<bool>>();
    SessionTask task;
    task.deadline = boot_now() + 10s;
    task.run = [promise, id = work.start.id, ending](DatabaseConnection& connection) {
      promise->set_value(connection.finish_prepared(id, ending).has_value());
    };
    task.start = [id = work.start.id, ending](DatabaseConnection& connection) {
      return connection.start_finishing(id, ending);
    };
    task.done = [](const Status&, BackendFate) {};
    loop_.run([&] { pool_->submit(std::move(task)); });
    const bool ended = promise->get_future().get();
    wait_until_free();
    return ended;
  }

  void signal_backend(int signal) {
    ASSERT_EQ(::kill(static_cast<pid_t>(session_.connection.value), signal), 0);
  }
  bool is_prepared(const BranchWork& work) {
    return resource().marker(work.start.id).empty() &&
           resource().value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") ==
               "1";
  }

  CarryingLoop loop_;
  std::unique_ptr<SessionPool> pool_;
  std::shared_ptr<RunningWork> running_;
  SessionIdentity session_;
  int descriptor_ = -1;  // of the connection opened last
  int started_ = 0;      // branches that the loop started
};
TROTH_FOR_POSTGRES(CarriedPoolTest);

// No input comes of what never left: it must not be waited for.
TEST_P(CarriedPoolTest, WhatTheKernelDoesNotTakeAtOnceGoesOutAllTheSame) {
  ConnectOptions by_path = resource().options();
  by_path.socket = resource().socket();
  open(by_path);
  resource().run("CREATE TABLE letters (id integer PRIMARY KEY, body text)");
  resource().run(fmt::format("GRANT ALL ON letters TO {}", resource().options().user));
  const auto letter = [&](std::int64_t id) {
    return resource().work({resource().statement("INSERT INTO letters VALUES (?, ?)",
                                                 {{id}, {Text{std::string(30'000, 'x')}}})});
  };
  warm(letter(1));
  const int room = 4096;
  ASSERT_EQ(::setsockopt(descriptor_, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
  signal_backend(SIGSTOP);
  auto answer = submit(letter(2), 5s);
  signal_backend(SIGCONT);
  EXPECT_EQ(started_, 1);
  const BranchAnswer sent = answer.get();
  EXPECT_TRUE(ended_as<Prepared>(sent.result));
}

// [T11] The deadline passes inside a lock wait; the no comes when the statement has ended.
TEST_P(CarriedPoolTest, BranchPastItsDeadlineIsStoppedAndRefused) {
  open(resource().options());
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(submit(held).get().result));
  wait_until_free();
  started_ = 0;
  const BranchAnswer late = submit(resource().transfer(1, 7), 300ms).get();
  EXPECT_EQ(started_, 1);
  EXPECT_EQ(refusal_of(late.result).code, ErrorCode::kTimeout);
  EXPECT_EQ(late.fate, BackendFate::kAlive);
  wait_until_free();
  EXPECT_TRUE(end(held, PreparedEnding::kCommit));
  EXPECT_EQ(resource().balance(1), "105");
}

// [T11]
TEST_P(CarriedPoolTest, LostBranchIsAnsweredWithItsBackendGone) {
  open(resource().options());
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(submit(held).get().result));
  wait_until_free();
  started_ = 0;
  const BranchWork work = resource().transfer(1, 7);
  auto answer = submit(work);
  resource().wait_until_blocked(session_);
  resource().kill(session_);
  const BranchAnswer lost = answer.get();
  EXPECT_EQ(started_, 1);
  ASSERT_TRUE(ended_as<Lost>(lost.result));
  EXPECT_TRUE(std::get<Lost>(lost.result.outcome).ending_sent);
  EXPECT_EQ(lost.fate, BackendFate::kGone);
  wait_until_free();
  EXPECT_TRUE(end(held, PreparedEnding::kRollBack));
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// [T11] Attack 61. The loop turns meanwhile, whatever the server does not answer.
TEST_P(CarriedPoolTest, BackendThatHangsMayStillRunAndDoesNotStopTheLoop) {
  open(resource().options(), {.repeat_after = 50ms, .break_off_after = 300ms});
  const BranchWork work = resource().transfer(1, 7);
  started_ = 0;
  signal_backend(SIGSTOP);
  auto answer = submit(work, 300ms);
  const Duration longest = loop_.longest_turn([&] { answer.wait(); });
  signal_backend(SIGCONT);
  EXPECT_EQ(started_, 1);
  EXPECT_LT(longest, 2s);
  const BranchAnswer hangs = answer.get();
  EXPECT_TRUE(ended_as<Lost>(hangs.result));
  EXPECT_EQ(hangs.fate, BackendFate::kMayStillRun);
  EXPECT_TRUE(holds_within(10s, [&] { return resource().sessions() == 0; }));
}

// What a trigger says, and what it makes the server tell, comes between the answers. None of it is printed: it is the
// client's, and whoever reads the agent's standard error may be slow.
TEST_P(CarriedPoolTest, NoticesAndTidingsInBetweenChangeNothing) {
  resource().run(
      "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "FOR i IN 1..2000 LOOP RAISE NOTICE 'secret %', repeat('n', 100); END LOOP; "
      "PERFORM set_config('application_name', 'talker', false); RETURN NEW; END $$");
  resource().run("CREATE TRIGGER talks BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION talk()");
  testing::internal::CaptureStderr();
  open(resource().options());
  started_ = 0;
  for (int round = 0; round < 3; ++round) {
    const BranchWork work = resource().transfer(1, 7);
    const BranchAnswer answer = submit(work).get();
    EXPECT_TRUE(ended_as<Prepared>(answer.result));
    wait_until_free();
    EXPECT_TRUE(end(work, PreparedEnding::kCommit));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(started_, 3);
  EXPECT_EQ(resource().balance(1), "121");
}

// Deadlines that pass anywhere: before it is sent, while it runs, between answer and cleaning. [T11] A no leaves
// nothing, and a yes is prepared.
TEST_P(CarriedPoolTest, WhateverTheDeadlineMeetsTheAnswerIsTrue) {
  open(resource().options());
  started_ = 0;
  int refused = 0;
  for (int round = 0; round < 60; ++round) {
    const BranchWork work = resource().transfer(1, 1);
    const BranchAnswer answer = submit(work, std::chrono::microseconds(100 * (round % 30))).get();
    wait_until_free();
    if (std::holds_alternative<Prepared>(answer.result.outcome)) {
      EXPECT_TRUE(is_prepared(work));
      EXPECT_TRUE(end(work, PreparedEnding::kRollBack));
    } else {
      ++refused;
      EXPECT_EQ(refusal_of(answer.result).effect, Effect::kNone) << describe(answer.result);
      EXPECT_FALSE(is_prepared(work));
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(started_, 0);
  EXPECT_EQ(resource().balance(1), "100");
}

// What waits in the server is asked to stop, and answered.
TEST_P(CarriedPoolTest, ShutDownStopsWhatItCarries) {
  open(resource().options());
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(submit(held).get().result));
  wait_until_free();
  started_ = 0;
  auto answer = submit(resource().transfer(1, 7), 60s);
  resource().wait_until_blocked(session_);
  const Instant began = boot_now();
  loop_.run([this] { pool_->shut_down(); });
  EXPECT_LT(boot_now() - began, 5s);
  EXPECT_EQ(started_, 1);
  EXPECT_EQ(refusal_of(answer.get().result).code, ErrorCode::kTimeout);
  EXPECT_EQ(resource().sessions(), 0U);
  EXPECT_TRUE(resource().connect()->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
}

}  // namespace
}  // namespace troth::agent
