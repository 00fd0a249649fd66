// A pool on a real database whose sessions an event loop carries: what stops, hangs, is lost or floods under it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <asio/post.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/running_work.h"
#include "participant_agent/runtime/session_pool.h"
#include "tests/unit/participant_agent_runtime/carrying_loop.h"
#include "tests/unit/participant_agent_runtime/pool_answers.h"
#include "tests/unit/participant_agent_runtime/stalling_relay.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class CarriedPoolTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (resource_ != nullptr) resource().takes_for_a_wait(10s);
  }
  // One session of the pool knows the statement of `transfer` then.
  void open(const ConnectOptions& options, const DeadlineWatchOptions& cancel = {},
            std::size_t sessions = 1) {
    loop_.run([&] {
      pool_ = std::make_unique<SessionPool>(
          SessionPoolOptions{.resource = {"bank"}, .sessions = sessions, .cancel = cancel},
          [this, options]() -> Result<std::unique_ptr<DatabaseConnection>> {
            auto opened = connect_to(GetParam(), options);
            if (opened.has_value()) descriptor_ = (*opened)->descriptor().value_or(-1);
            return opened;
          },
          [this](std::function<void()> done) { asio::post(loop_.loop(), std::move(done)); }, &loop_.loop());
    });
    // MySQL and MariaDB prepare the branch's check with the second.
    for (int round = 0; round < (resource().is_postgres() ? 1 : 2); ++round)
      warm(resource().transfer(1, 1));
    sum_before_ = resource().value("SELECT sum(balance) FROM accounts");
  }
  void TearDown() override {
    holder_.reset();
    control_.reset();
    loop_.run([this] { pool_.reset(); });
  }

  // Its statements are known behind this.
  void warm(const BranchWork& work) {
    const BranchAnswer answer = submit(work).get();
    ASSERT_TRUE(ended_as<Prepared>(answer.result));
    session_ = answer.result.session;
    wait_until_free();
    ASSERT_TRUE(end(work, PreparedEnding::kRollBack));
    wait_until_free();
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
    task.branch = work.start.id;
    task.deadline = boot_now() + 10s;
    task.run = [promise, id = work.start.id, ending](DatabaseConnection& connection) {
      promise->set_value(connection.finish_prepared(id, ending).has_value());
    };
    task.start = [id = work.start.id, ending](DatabaseConnection& connection) {
      return connection.start_finishing(id, ending);
    };
    task.done = [](const Status&, BackendFate) {};
    loop_.run([&] { pool_->submit(std::move(task)); });
    return promise->get_future().get();
  }

  void signal_backend(int signal) {
    ASSERT_EQ(::kill(static_cast<pid_t>(session_.connection.value), signal), 0);
  }
  // A session outside of the pool.
  DatabaseConnection& control() {
    // It may have been the one that was killed.
    if (control_ != nullptr && !control_->list_prepared().has_value()) control_.reset();
    if (control_ == nullptr) control_ = resource().connect();
    return *control_;
  }
  // Whatever became of the session that prepared it.
  bool finish(const BranchWork& work, PreparedEnding ending) {
    const bool tied = GetParam() == DatabaseKind::kMariadb;
    if (tied && end(work, ending)) return true;
    // A session that was killed lets go of its branch a moment later.
    return holds_within(10s, [&] { return control().finish_prepared(work.start.id, ending).has_value(); });
  }
  bool is_prepared(const BranchWork& work) {
    const auto list = control().list_prepared();
    return list.has_value() && resource().marker(work.start.id).empty() &&
           std::ranges::find(list->branches, work.start.id, &PreparedRow::branch) != list->branches.end();
  }
  bool lives(const SessionIdentity& session) {
    const auto all = control().list_role_sessions();
    return !all.has_value() ||
           std::ranges::find(*all, session.connection, &RoleSession::connection) != all->end();
  }
  // One that the database chooses.
  void kill_somebody() {
    const auto all = control().list_role_sessions();
    if (!all.has_value() || all->empty()) return;
    static_cast<void>(
        control().end_session({all->front().connection, control().session_identity().server_start}));
  }
  // Keeps the account's row, on a session outside of the pool.
  BranchWork hold(int account) {
    const BranchWork held = resource().transfer(account, 5);
    holder_ = resource().connect();
    EXPECT_TRUE(ended_as<Prepared>(holder_->run_branch(held)));
    return held;
  }
  bool let_go(const BranchWork& held, PreparedEnding ending) {
    return holder_->finish_prepared(held.start.id, ending).has_value();
  }

  CarryingLoop loop_;
  std::unique_ptr<SessionPool> pool_;
  std::unique_ptr<DatabaseConnection> holder_;
  std::unique_ptr<DatabaseConnection> control_;
  std::string sum_before_;
  std::shared_ptr<RunningWork> running_;
  SessionIdentity session_;
  std::atomic<int> descriptor_ = -1;  // of the connection opened last
  int started_ = 0;                   // branches that the loop started
};
TROTH_FOR_EVERY_DATABASE(CarriedPoolTest);
class CarriedPostgresPoolTest : public CarriedPoolTest {};
TROTH_FOR_POSTGRES(CarriedPostgresPoolTest);

// No input comes of what never left: it must not be waited for.
TEST_P(CarriedPostgresPoolTest, WhatTheKernelDoesNotTakeAtOnceGoesOutAllTheSame) {
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
  const BranchWork held = hold(1);
  started_ = 0;
  const BranchAnswer late = submit(resource().transfer(1, 7), 300ms).get();
  EXPECT_EQ(started_, 1);
  // On MySQL and MariaDB a request to stop that is still under way may meet the rollback.
  if (const auto* lost = std::get_if<Lost>(&late.result.outcome);
      lost != nullptr && !resource().is_postgres()) {
    EXPECT_EQ(lost->error.code, ErrorCode::kTimeout);
    EXPECT_EQ(late.fate, BackendFate::kGone);
  } else {
    EXPECT_EQ(refusal_of(late.result).code, ErrorCode::kTimeout);
    EXPECT_EQ(late.fate, BackendFate::kAlive);
  }
  wait_until_free();
  EXPECT_TRUE(let_go(held, PreparedEnding::kCommit));
  EXPECT_EQ(resource().balance(1), "105");
}

// [T11]
TEST_P(CarriedPoolTest, LostBranchIsAnsweredWithItsBackendGone) {
  open(resource().options());
  const BranchWork held = hold(1);
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
  EXPECT_TRUE(let_go(held, PreparedEnding::kRollBack));
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// [T11] Attack 61. The loop turns meanwhile, whatever the server does not answer.
TEST_P(CarriedPostgresPoolTest, BackendThatHangsMayStillRunAndDoesNotStopTheLoop) {
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

// The same where nothing comes from the server any more, not even a greeting, so that it cannot be asked to stop.
TEST_P(CarriedPoolTest, ServerThatStallsMayStillRunAndDoesNotStopTheLoop) {
  StallingRelay relay(resource().options().host, resource().options().port);
  ConnectOptions through = resource().options();
  through.port = relay.port();
  through.connect_timeout = 1s;
  open(through, {.repeat_after = 50ms, .break_off_after = 300ms});
  const BranchWork work = resource().transfer(1, 7);
  started_ = 0;
  relay.stall();
  const Instant began = boot_now();
  auto answer = submit(work, 300ms);
  const Duration longest = loop_.longest_turn([&] { answer.wait(); });
  EXPECT_LT(boot_now() - began, 10s);
  relay.resume();
  EXPECT_EQ(started_, 1);
  EXPECT_LT(longest, 2s);
  const BranchAnswer hangs = answer.get();
  ASSERT_TRUE(ended_as<Lost>(hangs.result));
  EXPECT_TRUE(std::get<Lost>(hangs.result.outcome).ending_sent);
  EXPECT_EQ(hangs.fate, BackendFate::kMayStillRun);
  wait_until_free();
  EXPECT_TRUE(holds_within(10s, [&] { return !lives(hangs.result.session); }));
  if (is_prepared(work)) {
    EXPECT_TRUE(control().finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  }
}

// The loop closes what it carries, whatever the server does not answer.
TEST_P(CarriedPoolTest, ShutDownEndsBehindAServerThatStalls) {
  StallingRelay relay(resource().options().host, resource().options().port);
  ConnectOptions through = resource().options();
  through.port = relay.port();
  through.connect_timeout = 1s;
  open(through, {.repeat_after = 50ms, .break_off_after = 300ms});
  started_ = 0;
  relay.stall();
  auto answer = submit(resource().transfer(1, 7), 60s);
  EXPECT_EQ(started_, 1);
  const Instant began = boot_now();
  loop_.run([this] { pool_->shut_down(); });
  EXPECT_LT(boot_now() - began, 10s);
  EXPECT_TRUE(ended_as<Lost>(answer.get().result));
  relay.resume();
}

// What a trigger says, and what it makes the server tell, comes between the answers. None of it is printed: it is the
// client's, and whoever reads the agent's standard error may be slow.
TEST_P(CarriedPostgresPoolTest, NoticesAndTidingsInBetweenChangeNothing) {
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
    wait_until_free();
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
      wait_until_free();
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
  const BranchWork held = hold(1);
  started_ = 0;
  const BranchWork work = resource().transfer(1, 7);
  auto answer = submit(work, 60s);
  resource().wait_until_blocked(session_);
  const Instant began = boot_now();
  loop_.run([this] { pool_->shut_down(); });
  EXPECT_LT(boot_now() - began, 5s);
  EXPECT_EQ(started_, 1);
  const BranchAnswer stopped = answer.get();
  if (const auto* lost = std::get_if<Lost>(&stopped.result.outcome);
      lost != nullptr && !resource().is_postgres()) {
    EXPECT_EQ(lost->error.code, ErrorCode::kTimeout);
  } else {
    EXPECT_EQ(refusal_of(stopped.result).code, ErrorCode::kTimeout);
  }
  EXPECT_TRUE(holds_within(10s, [&] { return resource().sessions() == 1; }))
      << "a backend ends when it sees the end; the holder's stays";
  EXPECT_TRUE(let_go(held, PreparedEnding::kRollBack));
  EXPECT_FALSE(is_prepared(work));
}

// Deadlines, cancellations and killed backends over several sessions at once. [T11] What was refused left nothing, what
// was answered yes is prepared, and everything is answered.
TEST_P(CarriedPoolTest, StormLeavesOnlyWhatWasAnsweredYes) {
  open(resource().options(), {.repeat_after = 20ms, .break_off_after = 5s}, /*sessions=*/4);
  started_ = 0;
  std::mt19937 random(20'261'127);
  const auto up_to = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  std::int64_t committed = 0;
  for (int wave = 0; wave < 25; ++wave) {
    std::vector<BranchWork> works;
    std::vector<std::future<BranchAnswer>> answers;
    std::vector<std::shared_ptr<RunningWork>> running;
    for (int i = 0; i < 6; ++i) {
      works.push_back(resource().transfer(1 + i % 3, 1));
      answers.push_back(submit(works.back(), up_to(3) == 0 ? up_to(20) * 1ms : 10s));
      running.push_back(running_);
    }
    if (up_to(2) == 0) kill_somebody();
    if (up_to(1) == 0) loop_.run([&] { static_cast<void>(running[2]->cancel()); });
    // As they come: one that is prepared keeps another waiting until it is ended.
    for (std::size_t i = 0, left = works.size(); left > 0; i = (i + 1) % works.size()) {
      if (!answers[i].valid() || answers[i].wait_for(1ms) != std::future_status::ready) continue;
      --left;
      const BranchAnswer answer = answers[i].get();
      if (std::holds_alternative<Prepared>(answer.result.outcome)) {
        EXPECT_TRUE(is_prepared(works[i]));
        committed += 1;
        EXPECT_TRUE(finish(works[i], PreparedEnding::kCommit));
      } else if (const auto* lost = std::get_if<Lost>(&answer.result.outcome); lost != nullptr) {
        // The session that asked for its end may have been killed, too.
        EXPECT_NE(answer.fate, BackendFate::kAlive);
        const bool gone = answer.fate == BackendFate::kGone;
        EXPECT_TRUE(holds_within(gone ? 0ms : 10s, [&] { return !lives(answer.result.session); }));
        if (is_prepared(works[i])) {
          EXPECT_TRUE(lost->ending_sent);
          EXPECT_TRUE(finish(works[i], PreparedEnding::kRollBack));
        }
      } else {
        EXPECT_EQ(refusal_of(answer.result).effect, Effect::kNone) << describe(answer.result);
        EXPECT_FALSE(is_prepared(works[i])) << describe(answer.result);
        EXPECT_EQ(resource().marker(works[i].start.id), "");
      }
    }
  }
  EXPECT_GT(started_, 25);
  EXPECT_EQ(resource().value("SELECT sum(balance) FROM accounts"),
            std::to_string(std::stoll(sum_before_) + committed));
  EXPECT_TRUE(holds_within(10s, [&] { return pool_->counts().busy == 0; }));
  EXPECT_EQ(pool_->counts().queued, 0U);
}

}  // namespace
}  // namespace troth::agent
