#include "participant_agent/runtime/deadline_watch.h"

#include <algorithm>
#include <utility>

#include "base/runtime/clock.h"

namespace troth::agent {
namespace {

constexpr auto kLongestGoodbye = std::chrono::seconds(5);

}  // namespace

DeadlineWatch::DeadlineWatch(DeadlineWatchOptions options) : options_(options), thread_([this] { run(); }) {}

DeadlineWatch::~DeadlineWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  std::unique_lock lock(under_way_->mutex);
  under_way_->changed.wait_for(lock, kLongestGoodbye, [&] { return under_way_->sessions.empty(); });
}

DeadlineWatch::Ticket DeadlineWatch::watch(Instant deadline, std::shared_ptr<Cancellation> cancellation) {
  bool wakes = false;
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    if (expire_all_) deadline = std::min(deadline, boot_now());
    wakes = deadline < sleeps_until_;
    ticket = ++last_ticket_;
    watched_.emplace(ticket, Watched{deadline, deadline, std::move(cancellation)});
  }
  // Most deadlines lie behind one that is, or was, waited for: the thread need not wake for them.
  if (wakes) changed_.notify_all();
  return ticket;
}

void DeadlineWatch::forget(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  watched_.erase(ticket);
}

void DeadlineWatch::expire_all() {
  {
    const std::lock_guard lock(mutex_);
    expire_all_ = true;
    const Instant now = boot_now();
    for (auto& [ticket, watched] : watched_)
      watched.deadline = watched.due = std::min(watched.due, now);
  }
  changed_.notify_all();
}

void DeadlineWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::min_element(watched_.begin(), watched_.end(), [](const auto& a, const auto& b) {
      return a.second.due < b.second.due;
    });
    sleeps_until_ = next == watched_.end() ? Instant::max() : next->second.due;
    if (next == watched_.end()) {
      changed_.wait(lock);
      continue;
    }
    const Instant now = boot_now();
    if (now < next->second.due) {
      changed_.wait_for(lock, next->second.due - now);
      continue;
    }
    ask(next->second, now);
  }
}

void DeadlineWatch::ask(Watched& watched, Instant now) {
  watched.due = now + options_.repeat_after;
  watched.cancellation->request();
  if (now - watched.deadline >= options_.break_off_after) {
    watched.cancellation->break_off();
    return;
  }
  {
    const std::lock_guard lock(under_way_->mutex);
    if (!under_way_->sessions.insert(watched.cancellation.get()).second) return;
  }
  std::thread([under_way = under_way_, cancellation = watched.cancellation] {
    cancellation->interrupt();
    const std::lock_guard lock(under_way->mutex);
    under_way->sessions.erase(cancellation.get());
    under_way->changed.notify_all();
  }).detach();
}

}  // namespace troth::agent
