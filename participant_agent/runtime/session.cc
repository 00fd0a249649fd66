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

void Session::give(SessionTask task) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!slot_.has_value(), "a session takes one task at a time");
    slot_ = std::move(task);
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
  const DriverThread driver_thread;
  for (;;) {
    std::optional<SessionTask> task;
    {
      std::unique_lock lock(mutex_);
      given_.wait(lock, [&] { return slot_.has_value() || stopping_; });
      if (!slot_.has_value()) break;
      task = std::exchange(slot_, std::nullopt);
    }
    while (task.has_value()) {
      perform(*std::exchange(task, std::nullopt));
      task = owner_.next_for(*this);
    }
  }
  connection_.reset();
}

void Session::perform(SessionTask task) {
  auto answer = [&](Status status, BackendFate fate) {
    owner_.post([done = std::move(task.done), status = std::move(status), fate] { done(status, fate); });
  };
  if (task.deadline <= boot_now()) {
    const auto condition = connection_ == nullptr ? ConnectionCondition::kIdle : connection_->condition();
    owner_.ran(*this, task.branch, condition);
    answer(
        fail(ErrorCode::kTimeout, Effect::kNone,
             "the branch's time was up before a database session was free; raise `sessions` or the timeout"),
        BackendFate::kAlive);
    return;
  }
  if (const Status connected = connect(); !connected.has_value()) {
    owner_.ran(*this, task.branch, ConnectionCondition::kLost);
    answer(connected, BackendFate::kAlive);
    return;
  }
  const std::shared_ptr<Cancellation> cancellation = connection_->cancellation();
  const DeadlineWatch::Ticket ticket = watch_.watch(task.deadline, cancellation);
  task.run(*connection_);
  watch_.forget(ticket);

  const ConnectionCondition condition = connection_->condition();
  const BackendFate fate = condition == ConnectionCondition::kLost ? end_lost_backend() : BackendFate::kAlive;
  owner_.ran(*this, task.branch, condition);
  answer({}, fate);
  settle(cancellation->requested());
  last_used_ = boot_now();
}

Status Session::connect() {
  if (connection_ != nullptr) {
    // What was idle for long may have been cut by a firewall or a server's timeout, and only a statement
    // would find out. A tied session is kept: its branch ends on it, or after it.
    const bool stale = boot_now() - last_used_ > kLongestIdle || generation_ != owner_.generation();
    if (!stale || connection_->condition() == ConnectionCondition::kTied) return {};
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

void Session::settle(bool was_asked_to_stop) {
  if (connection_ == nullptr) return;
  switch (connection_->condition()) {
    case ConnectionCondition::kTied: return;
    case ConnectionCondition::kIdle:
      if (!was_asked_to_stop && connection_->clean_up()) return;
      break;
    case ConnectionCondition::kDoubtful:
    case ConnectionCondition::kLost: break;
  }
  connection_.reset();
}

}  // namespace troth::agent
