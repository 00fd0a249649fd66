#include "participant_agent/runtime/session_pool.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"

namespace troth::agent {

SessionPool::SessionPool(SessionPoolOptions options, OpenConnection open, Post post, asio::io_context* loop)
    : options_(std::move(options)),
      open_(std::move(open)),
      post_(std::move(post)),
      loop_(loop),
      watch_(options_.cancel) {
  CHECK(options_.sessions > 0, "resource {} has no sessions", options_.resource.value);
  if (loop_ != nullptr) looks_.emplace(*loop_);
}

SessionPool::~SessionPool() {
  shut_down();
}

void SessionPool::submit(SessionTask task) {
  std::unique_lock lock(mutex_);
  if (shut_down_) {
    lock.unlock();
    refuse(std::move(task), unavailable("the agent is shutting down"));
    return;
  }
  if (task.branch.has_value()) {
    if (const auto tied = tied_.find(*task.branch); tied != tied_.end()) {
      Member& member = *tied->second;
      if (member.use == Use::kTied) {
        member.use = Use::kBusy;
        member.session->give(std::move(task));
      } else {
        member.waiting.push_back(std::move(task));
      }
      return;
    }
  }
  if (task.opens_interactive && tied_.size() + opening_ >= options_.tied_sessions) {
    lock.unlock();
    refuse(std::move(task),
           overloaded(fmt::format(
               "{} sessions are held by interactive or prepared branches; commit sooner, or raise "
               "`tied_sessions`",
               options_.tied_sessions)));
    return;
  }
  if (task.opens_interactive) {
    ++opening_;
    task.done = [this, done = std::move(task.done)](Status status, BackendFate fate) {
      --opening_;
      done(std::move(status), fate);
    };
  }
  if (Member* member = free_member(); member != nullptr) {
    member->use = Use::kBusy;
    lock.unlock();
    hand(*member, std::move(task));
    return;
  }
  if (queue_.size() < options_.queue_limit) {
    queue_.push_back(std::move(task));
    return;
  }
  lock.unlock();
  refuse(std::move(task),
         overloaded(fmt::format(
             "{} branches already wait for a database session; retry later, or raise `sessions` or "
             "`session_queue`",
             options_.queue_limit)));
}

void SessionPool::hand(Member& member, SessionTask task) {
  if (member.carried != nullptr && member.carried->take(task)) return;
  member.session->give(std::move(task));
}

Error SessionPool::overloaded(const std::string& what) const {
  Error error = unavailable(what);
  error.code = ErrorCode::kOverloaded;
  error.retry_after = std::chrono::milliseconds(100);
  return error;
}

void SessionPool::shut_down() {
  std::deque<SessionTask> refused;
  {
    const std::lock_guard lock(mutex_);
    if (shut_down_) return;
    shut_down_ = true;
    refused.swap(queue_);
    for (const auto& member : members_) {
      std::move(member->waiting.begin(), member->waiting.end(), std::back_inserter(refused));
      member->waiting.clear();
    }
  }
  for (SessionTask& task : refused)
    refuse(std::move(task), unavailable("the agent is shutting down"));
  watch_.expire_all();
  // Sessions take no more tasks, so nobody changes `members_` but this.
  for (const auto& member : members_)
    if (member->carried != nullptr) member->carried->hand_over();
  for (const auto& member : members_)
    member->session->stop();
  for (const auto& member : members_)
    member->session->join();
}

void SessionPool::refuse_expired() {
  std::vector<SessionTask> expired;
  {
    const std::lock_guard lock(mutex_);
    const Instant now = boot_now();
    std::deque<SessionTask> kept;
    for (SessionTask& task : queue_) {
      if (task.deadline <= now) {
        expired.push_back(std::move(task));
      } else {
        kept.push_back(std::move(task));
      }
    }
    queue_.swap(kept);
  }
  for (SessionTask& task : expired) {
    Error error = unavailable(
        "the branch's time was up before a database session was free; raise `sessions` or the timeout");
    error.code = ErrorCode::kTimeout;
    refuse(std::move(task), std::move(error));
  }
}

SessionPoolCounts SessionPool::counts() const {
  const std::lock_guard lock(mutex_);
  SessionPoolCounts counts;
  counts.sessions = members_.size();
  counts.tied = tied_.size();
  counts.queued = queue_.size();
  for (const auto& member : members_)
    if (member->use == Use::kBusy) ++counts.busy;
  return counts;
}

Error SessionPool::unavailable(const std::string& why) const {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = Effect::kNone;
  error.retryable = true;
  error.resource = options_.resource.value;
  error.message = fmt::format("resource {}: {}", options_.resource.value, why);
  return error;
}

Result<std::unique_ptr<DatabaseConnection>> SessionPool::open() {
  {
    const std::lock_guard lock(open_mutex_);
    const Instant now = boot_now();
    if (now < retry_at_) {
      Error error = last_open_error_;
      error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(retry_at_ - now);
      return std::unexpected(std::move(error));
    }
  }
  Result<std::unique_ptr<DatabaseConnection>> opened = open_();
  const std::lock_guard lock(open_mutex_);
  if (opened.has_value()) {
    backoff_ = Duration{};
    return opened;
  }
  backoff_ = std::clamp(backoff_ * 2, options_.reconnect_min, options_.reconnect_max);
  retry_at_ = boot_now() + backoff_;
  last_open_error_ = opened.error();
  last_open_error_.resource = options_.resource.value;
  last_open_error_.retryable = true;
  last_open_error_.retry_after = std::chrono::ceil<std::chrono::milliseconds>(backoff_);
  return std::unexpected(last_open_error_);
}

void SessionPool::ran(Session& session, const std::optional<BranchId>& branch,
                      ConnectionCondition condition) {
  const std::lock_guard lock(mutex_);
  Member& member = member_of(session);
  const bool tied = condition == ConnectionCondition::kTied;
  if (tied == member.tied_to.has_value()) return;
  if (tied) {
    CHECK(branch.has_value(), "a task of no branch tied its session");
    member.tied_to = branch;
    tied_.emplace(*branch, &member);
    return;
  }
  tied_.erase(*member.tied_to);
  member.tied_to.reset();
  // What else came for this branch finds it untied: any session will do.
  for (SessionTask& task : member.waiting)
    queue_.push_front(std::move(task));
  member.waiting.clear();
}

void SessionPool::post(std::function<void()> completion) {
  post_(std::move(completion));
}

std::optional<SessionTask> SessionPool::next_for(Session& session) {
  const std::lock_guard lock(mutex_);
  Member& member = member_of(session);
  if (member.tied_to.has_value()) {
    if (!member.waiting.empty()) return take(member.waiting);
    member.use = Use::kTied;
    give_queued_tasks();
    return std::nullopt;
  }
  // A session that was tied until now comes on top of those that serve.
  if (!queue_.empty() && serving() <= options_.sessions) return take(queue_);
  member.use = Use::kFree;
  return std::nullopt;
}

std::optional<SessionTask> SessionPool::take(std::deque<SessionTask>& tasks) {
  std::optional<SessionTask> task(std::move(tasks.front()));
  tasks.pop_front();
  return task;
}

void SessionPool::give_queued_tasks() {
  while (!queue_.empty() && !shut_down_) {
    Member* member = free_member();
    if (member == nullptr) return;
    member->use = Use::kBusy;
    member->session->give(*take(queue_));
  }
}

void SessionPool::refuse(SessionTask task, Error error) {
  post_([done = std::move(task.done), error = std::move(error)] {
    done(std::unexpected(error), BackendFate::kAlive);
  });
}

SessionPool::Member& SessionPool::member_of(const Session& session) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const auto& member) { return member->session.get() == &session; });
  CHECK(found != members_.end(), "a session that the pool does not know");
  return **found;
}

std::size_t SessionPool::serving() const {
  return static_cast<std::size_t>(std::count_if(members_.begin(), members_.end(), [](const auto& member) {
    return member->use == Use::kBusy && !member->tied_to.has_value();
  }));
}

SessionPool::Member* SessionPool::free_member() {
  if (serving() >= options_.sessions) return nullptr;
  for (const auto& member : members_)
    if (member->use == Use::kFree) return member.get();
  if (members_.size() >= options_.sessions + options_.tied_sessions) return nullptr;
  members_.push_back(std::make_unique<Member>());
  Member& member = *members_.back();
  member.session = std::make_unique<Session>(*this, watch_);
  if (loop_ != nullptr) {
    member.carried = CarriedSession::make(*loop_, *member.session, *this, watch_, *looks_, [this, &member] {
      if (std::optional<SessionTask> next = next_for(*member.session); next.has_value())
        hand(member, std::move(*next));
    });
  }
  return &member;
}

}  // namespace troth::agent
