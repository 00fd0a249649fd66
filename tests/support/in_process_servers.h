// tests/support/in_process_servers.h
//
// A whole coordinator and whole agents inside the test's own process, each with an event loop on a thread of
// its own, talking over loopback TCP: what ThreadSanitizer watches. Each can be stopped cleanly, or dropped in
// the middle of whatever it does, and started again on what its disk holds.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "coordinator/runtime/coordinator_server.h"
#include "participant_agent/runtime/agent_server.h"
#include "tests/support/do_nothing_database.h"

namespace troth {

// An event loop that runs on a thread of its own until it is stopped.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.run(); }) {}
  ~LoopThread() { stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] asio::io_context& loop() { return loop_; }
  // Runs `work` on the loop's thread, and waits for it.
  void run(const std::function<void()>& work) {
    std::promise<void> done;
    asio::post(loop_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  // After the handler that runs now; those that wait never run.
  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(loop_);
  std::thread thread_;
};

// How a server came up and how it ended; told on its loop's thread, waited for on the test's.
class ServerLife {
 public:
  void is_ready();
  void has_ended(Status outcome);
  // Until it serves. CHECKs that it does.
  void wait_until_ready();
  [[nodiscard]] bool ends_within(std::chrono::milliseconds limit);
  [[nodiscard]] std::optional<Status> outcome();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  std::optional<Status> outcome_;
};

// One server class of the product on its loop. `Server` is CoordinatorServer or AgentServer.
template <typename Server>
class InProcess {
 public:
  explicit InProcess(typename Server::Options options) : options_(std::move(options)) {}
  ~InProcess() { drop(); }
  InProcess(const InProcess&) = delete;
  InProcess& operator=(const InProcess&) = delete;

  // Returns when it serves.
  void start() {
    begin();
    life_->wait_until_ready();
  }
  // Returns at once; an agent that knows no cluster yet, or a store that fails, may never serve.
  void begin();
  // As SIGTERM does; returns how it ended. CHECKs that it ends in time.
  [[nodiscard]] Status stop();
  // As a kill does, but for what its disk still writes: nothing is answered any more, nobody says goodbye.
  void drop();

  // On its loop's thread, and waits for it.
  void with_server(const std::function<void(Server&)>& work) {
    thread_->run([&] { work(*server_); });
  }

  [[nodiscard]] bool is_running() const { return server_ != nullptr; }
  [[nodiscard]] ServerLife& life() { return *life_; }
  [[nodiscard]] typename Server::Options& options() { return options_; }

 private:
  typename Server::Options options_;
  std::unique_ptr<ServerLife> life_;
  std::unique_ptr<LoopThread> thread_;
  std::unique_ptr<Server> server_;
};

using InProcessCoordinator = InProcess<coordinator::CoordinatorServer>;
using InProcessAgent = InProcess<agent::AgentServer>;

// An address on loopback that nobody listens on, outside of the range from which connections get their ports:
// a server that is away for a moment finds it free again.
[[nodiscard]] std::string free_loopback_address();

// With short intervals, so that what the product does once a second or a minute happens in a test, too.
[[nodiscard]] coordinator::CoordinatorServer::Options coordinator_options(const std::string& directory);
[[nodiscard]] agent::AgentServer::Options agent_options(
    const std::string& name, const std::string& directory, const std::string& coordinator,
    std::map<std::string, std::shared_ptr<DoNothingDatabase>> resources);

}  // namespace troth
