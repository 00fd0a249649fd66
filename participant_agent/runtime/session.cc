#include "participant_agent/runtime/session.h"

#include <thread>
#include <utility>

#include "base/check.h"
#include "base/runtime/clock.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// How long a lost connection's backend is waited for. A backend that is told to end goes at its next look at
// its signals; only one that hangs in the kernel or the disk takes longer.
constexpr Duration kBackendEndTimeout = 5s;
constexpr Duration kBackendPollInterval = 10ms;
constexpr Duration kLongestIdle = 60s;

}  // namespace

Session::Session(Owner& owner, DeadlineWatch& watch)
    : owner_(owner), watch_(watch), thread_([this] { run(); }) {}

Session::~Session() {
  stop();
  join();
}

void Session::join() {
  if (thread_.joinable()) thread_.join();
}

void Session::give(SessionTask task, Stage stage) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!slot_.has_value(), "a session takes one task at a time");
    slot_.emplace(std::move(task), stage);
  }
  given_.notify_one();
}

void Session::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  given_.notify_one();
}

void Session::run() {
  for (;;) {
    std::optional<Given> given;
    {
      std::unique_lock lock(mutex_);
      given_.wait(lock, [&] { return slot_.has_value() || stopping_; });
      if (!slot_.has_value()) break;
      given = std::exchange(slot_, std::nullopt);
    }
    while (given.has_value()) {
      perform(*std::exchange(given, std::nullopt));
      if (std::optional<SessionTask> next = owner_.next_for(*this); next.has_value())
        given.emplace(std::move(*next));
    }
  }
  connection_.reset();
}

void Session::perform(Given given) {
  SessionTask& task = given.task;
  if (given.stage == Stage::kFresh && !begin(task)) return;
  const std::shared_ptr<Cancellation> cancellation = connection_->cancellation();
  if (given.stage <= Stage::kStarted) {
    const DeadlineWatch::Ticket ticket = watch_.watch(task.deadline, cancellation);
    task.run(*connection_);
    watch_.forget(ticket);
  }
  if (given.stage <= Stage::kRan) {
    const ConnectionCondition condition = connection_->condition();
    const BackendFate fate =
        condition == ConnectionCondition::kLost ? end_lost_backend() : BackendFate::kAlive;
    owner_.ran(*this, task.branch, condition);
    owner_.post([done = std::move(task.done), fate] { done({}, fate); });
  }
  settle(task, cancellation->requested());
  was_used();
}

// False: refused.
bool Session::begin(SessionTask& task) {
  const auto refuse = [&](Error error, ConnectionCondition condition) {
    owner_.ran(*this, task.branch, condition);
    owner_.post([done = std::move(task.done), error = std::move(error)] {
      done(std::unexpected(error), BackendFate::kAlive);
    });
    return false;
  };
  if (task.deadline <= boot_now()) {
    return refuse(
        fail(ErrorCode::kTimeout, Effect::kNone,
             "the branch's time was up before a database session was free; raise `sessions` or the timeout")
            .error(),
        connection_ == nullptr ? ConnectionCondition::kIdle : connection_->condition());
  }
  Status connected = connect();
  return connected.has_value() || refuse(std::move(connected.error()), ConnectionCondition::kLost);
}

// What was idle for long may have been cut by a firewall or a server's timeout, and only a statement would find out. A
// tied session is kept: its branch ends on it, or after it.
bool Session::is_stale() const {
  return connection_->condition() != ConnectionCondition::kTied &&
         (boot_now() - last_used_ > kLongestIdle || generation_ != owner_.generation());
}

DatabaseConnection* Session::connection_for_loop() const {
  const bool fit = connection_ != nullptr && connection_->condition() == ConnectionCondition::kIdle &&
                   !is_stale() && connection_->descriptor().has_value();
  return fit ? connection_.get() : nullptr;
}

void Session::was_used() {
  last_used_ = boot_now();
}

Status Session::connect() {
  if (connection_ != nullptr) {
    if (!is_stale()) return {};
    connection_.reset();
  }
  generation_ = owner_.generation();
  Result<std::unique_ptr<DatabaseConnection>> opened = owner_.open();
  if (!opened.has_value()) return std::unexpected(std::move(opened.error()));
  connection_ = std::move(*opened);
  return {};
}

BackendFate Session::end_lost_backend() {
  const SessionIdentity lost = connection_->session_identity();
  connection_.reset();
  const Instant give_up = boot_now() + kBackendEndTimeout;
  if (!connect().has_value()) return BackendFate::kMayStillRun;
  for (;;) {
    const Answer<bool> ended = connection_->end_session(lost);
    if (!ended.has_value() || boot_now() > give_up) {
      connection_.reset();
      return BackendFate::kMayStillRun;
    }
    if (*ended) return BackendFate::kGone;
    std::this_thread::sleep_for(kBackendPollInterval);
  }
}

void Session::settle(const SessionTask& task, bool was_asked_to_stop) {
  if (connection_ == nullptr) return;
  switch (connection_->condition()) {
    case ConnectionCondition::kTied: return;
    case ConnectionCondition::kIdle:
      if (!was_asked_to_stop && clean_up(task)) return;
      break;
    case ConnectionCondition::kDoubtful:
    case ConnectionCondition::kLost: break;
  }
  connection_.reset();
}

// A server that says nothing more would keep the session, and a shutdown waiting for it, for ever.
bool Session::clean_up(const SessionTask& task) {
  const std::shared_ptr<Cancellation> cancellation = connection_->cancellation();
  const DeadlineWatch::Ticket ticket = watch_.watch(task.deadline, cancellation);
  const bool clean = connection_->clean_up();
  watch_.forget(ticket);
  // A request that is under way may still reach it.
  return clean && !cancellation->requested();
}

}  // namespace troth::agent
