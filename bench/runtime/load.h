// bench/runtime/load.h
//
// Clients that make transfers one after the other, each in a thread of its own, for a given time.
#pragma once

#include <atomic>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "bench/runtime/teller.h"

namespace troth::bench {

struct LoadOptions {
  int clients = 1;
  Duration length{};
  std::int64_t accounts = 0;
  std::uint64_t seed = 0;  // of the transfers that are drawn
};

struct LoadResult {
  std::vector<Duration> latencies;  // of committed transfers; the warm-up's are not among them
  std::uint64_t conflicts = 0;
  std::int64_t moved = 0;  // by the warm-up too
  std::chrono::steady_clock::time_point began;
};

// warm_up(), then run(), each once.
class Load {
 public:
  Load(const LoadOptions& options, OpenTeller open_teller);
  ~Load();

  // Returns when every client is connected and has made a few transfers, so that sessions have seen their
  // statements; the first error of any client otherwise.
  [[nodiscard]] Status warm_up();

  // Lets the clients go. A transfer that was begun in time is finished and counted.
  [[nodiscard]] Result<LoadResult> run();

 private:
  struct Client {
    LoadResult result;
    Status status;
    std::thread thread;
  };

  void work(Client& client, int number);
  [[nodiscard]] Status transfer(Client& client, Teller& teller, Random& random, Duration& latency);
  void let_go();
  [[nodiscard]] Status first_error() const;

  const LoadOptions options_;
  const OpenTeller open_teller_;
  std::vector<Client> clients_;
  std::latch warm_;
  std::latch start_{1};
  std::atomic<bool> stop_ = false;
  std::chrono::steady_clock::time_point began_;  // written before start_ opens
  bool let_go_ = false;
};

}  // namespace troth::bench
