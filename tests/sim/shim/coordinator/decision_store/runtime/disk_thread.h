// tests/sim/shim/coordinator/decision_store/runtime/disk_thread.h
//
// Stands in for the file of that name: work on files is a turn of its own instead of a thread's, and takes its time.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "tests/sim/core/node.h"

namespace troth::coordinator::store {

class DiskThread {
 public:
  DiskThread() = default;
  // What has not begun is never done.
  ~DiskThread() { stop_->request_stop(); }
  DiskThread(const DiskThread&) = delete;
  DiskThread& operator=(const DiskThread&) = delete;

  using Work = std::move_only_function<void(const std::stop_token&)>;

  void add(Work work) {
    auto& node = sim::Node::current();
    auto& world = node.world();
    busy_until_ =
        std::max(busy_until_, world.now()) + world.draw(sim::Purpose::kDisk, Duration(50), Duration(20'000));
    node.post_after(busy_until_ - world.now(),
                    [stop = stop_, work = std::make_shared<Work>(std::move(work))] {
                      if (!stop->stop_requested()) (*work)(stop->get_token());
                    });
  }

 private:
  Duration busy_until_{};  // one after the other
  std::shared_ptr<std::stop_source> stop_ = std::make_shared<std::stop_source>();
};

}  // namespace troth::coordinator::store
