// participant_agent/runtime/deadline_watch.h
//
// Asks sessions to stop when their time is up: at the deadline and again from time to time, and breaks the
// connection off when the server does not react at all. The requests themselves go out on threads of their
// own, because a server that hangs makes them hang too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/time.h"
#include "participant_agent/runtime/cancellation.h"

namespace troth::agent {

struct DeadlineWatchOptions {
  Duration repeat_after = std::chrono::seconds(1);      // the pause between two requests to the same session
  Duration break_off_after = std::chrono::seconds(10);  // from the deadline
};

class DeadlineWatch {
 public:
  explicit DeadlineWatch(DeadlineWatchOptions options);
  // Waits for requests that are under way, but not for ever: one that hangs keeps only what it needs itself.
  ~DeadlineWatch();
  DeadlineWatch(const DeadlineWatch&) = delete;
  DeadlineWatch& operator=(const DeadlineWatch&) = delete;

  using Ticket = std::uint64_t;

  [[nodiscard]] Ticket watch(Instant deadline, std::shared_ptr<Cancellation> cancellation);
  // The session is asked no more. A request that is under way may still reach it: hence it is closed.
  void forget(Ticket ticket);
  // Every watched session, and every one to come, is asked at once: the process is about to end.
  void expire_all();

 private:
  struct Watched {
    Instant deadline;
    Instant due;
    std::shared_ptr<Cancellation> cancellation;
  };
  // Shared with the threads that carry the requests, and outlives the watch where one hangs.
  struct UnderWay {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<const Cancellation*> sessions;
  };

  void run();
  void ask(Watched& watched, Instant now);

  const DeadlineWatchOptions options_;
  const std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Ticket, Watched> watched_;
  Instant sleeps_until_ = Instant::max();  // the thread looks again by then, whatever it is told
  Ticket last_ticket_ = 0;
  bool expire_all_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troth::agent
