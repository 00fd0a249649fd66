// An agent's sessions and their deadlines in virtual time. What a session does with a task is what
// participant_agent/runtime/session.cc does with it.
#include <utility>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/runtime/carried_session.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "participant_agent/runtime/session.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBackendEndTimeout = 5s;
constexpr Duration kBackendPollInterval = 10ms;
constexpr Duration kLongestIdle = 60s;

}  // namespace

// ---- Session

Session::Session(Owner& owner, DeadlineWatch& watch) : owner_(owner), watch_(watch) {}

Session::~Session() = default;

void Session::stop() {}

void Session::join() {
  fiber_.reset();
  connection_.reset();
}

void Session::give(SessionTask task, Stage stage) {
  CHECK(stage == Stage::kFresh, "nothing is carried by the loop here");
  // From inside of its own fiber only the next task of its own comes, which `run` takes by itself.
  CHECK(fiber_ == nullptr || fiber_->is_over(), "a session takes one task at a time");
  fiber_.reset();
  auto first = std::make_shared<SessionTask>(std::move(task));
  fiber_ = std::make_unique<sim::Fiber>(sim::Node::current(), [this, first] { run(std::move(*first)); });
}

void Session::run(SessionTask first) {
  std::optional<SessionTask> task(std::move(first));
  while (task.has_value()) {
    perform(*task);
    task = owner_.next_for(*this);
  }
}

void Session::perform(SessionTask& task) {
  if (!begin(task)) return;
  const std::shared_ptr<Cancellation> cancellation = connection_->cancellation();
  const DeadlineWatch::Ticket ticket = watch_.watch(task.deadline, cancellation);
  task.run(*connection_);
  watch_.forget(ticket);
  const ConnectionCondition condition = connection_->condition();
  const BackendFate fate = condition == ConnectionCondition::kLost ? end_lost_backend() : BackendFate::kAlive;
  owner_.ran(*this, task.branch, condition);
  owner_.post([done = std::move(task.done), fate] { done({}, fate); });
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
    return refuse(fail(ErrorCode::kTimeout, Effect::kNone,
                       "the branch's time was up before a database session was free")
                      .error(),
                  connection_ == nullptr ? ConnectionCondition::kIdle : connection_->condition());
  }
  Status connected = connect();
  return connected.has_value() || refuse(std::move(connected.error()), ConnectionCondition::kLost);
}

bool Session::is_stale() const {
  return connection_->condition() != ConnectionCondition::kTied &&
         (boot_now() - last_used_ > kLongestIdle || generation_ != owner_.generation());
}

DatabaseConnection* Session::connection_for_loop() const {
  return nullptr;
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
    sim::Fiber::sleep(kBackendPollInterval);
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

bool Session::clean_up(const SessionTask& task) {
  const std::shared_ptr<Cancellation> cancellation = connection_->cancellation();
  const DeadlineWatch::Ticket ticket = watch_.watch(task.deadline, cancellation);
  const bool clean = connection_->clean_up();
  watch_.forget(ticket);
  return clean && !cancellation->requested();
}

// ---- the loop carries nothing: every task is a fiber's

std::shared_ptr<CarriedSession> CarriedSession::make(asio::io_context&, Session&, Session::Owner&,
                                                     DeadlineWatch&, LaterLooks&, std::function<void()>) {
  return nullptr;
}

// ---- DeadlineWatch

struct DeadlineWatch::Core {
  struct Watched {
    Instant deadline;
    std::shared_ptr<Cancellation> cancellation;
  };
  const DeadlineWatchOptions options;
  sim::Node* node = nullptr;
  std::map<Ticket, Watched> watched;
  Ticket last_ticket = 0;

  static void look_at(const std::shared_ptr<Core>& core, Ticket ticket, Instant due) {
    const auto wait = std::max(due - boot_now(), Duration::zero());
    core->node->post_after(core->node->clock().true_time(wait), [weak = std::weak_ptr(core), ticket] {
      if (const auto alive = weak.lock()) ask(alive, ticket);
    });
  }

  static void ask(const std::shared_ptr<Core>& core, Ticket ticket) {
    const auto found = core->watched.find(ticket);
    if (found == core->watched.end()) return;
    const auto cancellation = found->second.cancellation;
    cancellation->request();
    if (boot_now() >= found->second.deadline + core->options.break_off_after)
      cancellation->break_off();
    else
      cancellation->interrupt();
    look_at(core, ticket, boot_now() + core->options.repeat_after);
  }
};

DeadlineWatch::DeadlineWatch(DeadlineWatchOptions options)
    : core_(std::make_shared<Core>(options, &sim::Node::current())) {}

DeadlineWatch::Ticket DeadlineWatch::watch(Instant deadline, std::shared_ptr<Cancellation> cancellation) {
  const auto ticket = ++core_->last_ticket;
  core_->watched.emplace(ticket, Core::Watched{deadline, std::move(cancellation)});
  Core::look_at(core_, ticket, deadline);
  return ticket;
}

void DeadlineWatch::forget(Ticket ticket) {
  core_->watched.erase(ticket);
}

void DeadlineWatch::expire_all() {}

}  // namespace troth::agent
