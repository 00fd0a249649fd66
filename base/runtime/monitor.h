// base/runtime/monitor.h
//
// What a process shows of itself over HTTP:
//
//   /metrics  what its table of metrics names, for Prometheus
//   /healthz  200: it lives and its event loop turns; 503: the loop has not turned for a while
//   /readyz   200: it can do its work; 503: why it cannot, and what to do about it
//
// Counters are written where things happen. What is a state (how many wait, how old is the oldest) is read on the
// event loop's thread, because it lives there: one look at a time, at most two in a second however many ask, and
// the page is made of it on the HTTP thread. A loop that does not turn still has its page, as of its last look.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/runtime/metrics.h"

namespace asio {
class io_context;
}

namespace troth {

struct Readiness {
  bool ready = false;
  std::string reason;  // why not
  std::string remedy;  // what an operator does about it
};

class Monitor {
 public:
  struct Options {
    std::string host;
    std::uint16_t port = 0;
    // Both are called on the loop's thread.
    std::function<void()> refresh;  // brings gauges up to date
    std::function<Readiness()> readiness;
  };

  // `metrics` must outlive it. Answers from now on; while the loop has not begun to turn, /healthz says so and is
  // content, because opening a large log takes its time.
  [[nodiscard]] static Result<std::unique_ptr<Monitor>> open(asio::io_context& loop, Metrics& metrics,
                                                             Options options);
  // On the loop's thread, or while it does not run.
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // host:port, with the real port.
  [[nodiscard]] const std::string& address() const;

 private:
  class Core;
  explicit Monitor(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

// The process's own numbers, as the system and the log tell them. Any thread.
void refresh_process_metrics(Metrics& metrics);

}  // namespace troth
