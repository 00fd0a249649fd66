// coordinator/decision_store/runtime/disk_thread.h
//
// A thread for work on files that nobody waits for: one piece after the other, in their order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace troth::coordinator::store {

class DiskThread {
 public:
  DiskThread() : thread_([this](const std::stop_token& stop) { run(stop); }) {}
  // What has not begun is never done; what takes long is to look at its token.
  ~DiskThread() = default;
  DiskThread(const DiskThread&) = delete;
  DiskThread& operator=(const DiskThread&) = delete;

  using Work = std::move_only_function<void(const std::stop_token&)>;

  void add(Work work) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    arrived_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (arrived_.wait(lock, stop, [this] { return !waiting_.empty(); }) && !stop.stop_requested()) {
      auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work(stop);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Work> waiting_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace troth::coordinator::store
