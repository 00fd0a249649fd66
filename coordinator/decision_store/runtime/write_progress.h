// coordinator/decision_store/runtime/write_progress.h
//
// How far a log is durable, told by its thread to its owner's loop. One notice stands for all that became durable until
// it runs.
#pragma once

#include <atomic>
#include <cstdint>

namespace troth::coordinator::store {

class WriteProgress {
 public:
  // Before the log's thread can know of it.
  void begin_at(std::uint64_t sequence) { through_.store(sequence, std::memory_order_relaxed); }

  // On the log's thread, in the order of sequences. False: a notice is on its way.
  [[nodiscard]] bool reach(std::uint64_t sequence) {
    through_.store(sequence, std::memory_order_release);
    return !noticed_.exchange(true, std::memory_order_acq_rel);
  }
  // On the owner's loop, where the notice runs.
  [[nodiscard]] std::uint64_t take() {
    // An exchange, not a store: it must see what the log's thread wrote before it found the flag set.
    noticed_.exchange(false, std::memory_order_acq_rel);
    return through();
  }
  [[nodiscard]] std::uint64_t through() const { return through_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> through_{0};
  std::atomic<bool> noticed_{false};
};

}  // namespace troth::coordinator::store
