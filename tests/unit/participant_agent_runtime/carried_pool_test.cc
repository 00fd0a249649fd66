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

}  // namespace
}  // namespace troth::agent
