// bench-failover: clients of a group, which go to its next coordinator when one fails them, newcomers, and a watch over all.
//
// Speaks in lines with bench/runtime/failover.py. Prints `warm` when each client had an answer. A line `after T` (seconds of
// CLOCK_BOOTTIME) is answered, when the first commit is acknowledged that was asked for after T, with the time of its
// acknowledgement: what was on its way at T does not count. A line `count` is answered with a line of JSON since the `count`
// before: answers, failures, and the longest time without an answer. The end of its input ends it.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/streambuf.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "base/runtime/clock.h"
#include "bench/runtime/group_calls.h"

namespace troth::bench {
namespace {

struct Arguments {
  std::vector<std::string> coordinators;
  std::vector<std::string> resources;
  std::size_t clients = 16;
  double timeout_s = 1;
};

double seconds_of(Instant at) {
  return std::chrono::duration<double>(at.time_since_epoch()).count();
}

// What all clients came to.
class Watch {
 public:
  void committed(Instant asked) {
    const auto now = boot_now();
    ++committed_;
    longest_gap_ = std::max(longest_gap_, now - last_);
    last_ = now;
    if (!after_ || asked < *after_) return;
    after_.reset();
    say(fmt::format("{:.6f}", seconds_of(now)));
  }
  void failed(const Error& why) {
    ++failed_;
    last_failure_ = why.message;
  }
  void tell_first_after(Instant at) { after_ = at; }
  void tell_counts() {
    const auto now = boot_now();
    say(fmt::format(R"({{"committed": {}, "failed": {}, "longest_gap_ms": {:.3f}, "seconds": {:.3f}}})",
                    committed_, failed_,
                    std::chrono::duration<double, std::milli>(std::max(longest_gap_, now - last_)).count(),
                    std::chrono::duration<double>(now - since_).count()));
    if (!last_failure_.empty())
      std::fputs(fmt::format("bench-failover: last failure: {}\n", last_failure_).c_str(), stderr);
    committed_ = failed_ = 0;
    longest_gap_ = {};
    last_failure_.clear();
    last_ = since_ = now;
  }
  static void say(const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

 private:
  std::uint64_t committed_ = 0;
  std::uint64_t failed_ = 0;
  Duration longest_gap_{};
  Instant last_ = boot_now();
  Instant since_ = last_;
  std::optional<Instant> after_;
  std::string last_failure_;
};

// One call at a time; with connections of its own, as a process of a service has them.
class Client {
 public:
  Client(asio::io_context& loop, const Arguments& arguments, const std::vector<rpc::Address>& coordinators,
         std::size_t first, Watch& watch, std::function<void()> on_first_answer)
      : caller_(GroupCall::kCommit, arguments.resources),
        timeout_(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.timeout_s))),
        turn_(first),
        watch_(watch),
        on_first_answer_(std::move(on_first_answer)),
        pause_(loop) {
    rpc::ChannelOptions options;
    options.first_backoff = options.longest_backoff = std::chrono::milliseconds(20);
    for (const auto& address : coordinators)
      channels_.push_back(std::make_unique<rpc::Channel>(loop, address, options));
  }

  void ask() {
    const auto asked = boot_now();
    caller_.ask(*channels_[turn_ % channels_.size()], timeout_, [this, asked](const Status& outcome) {
      if (outcome) {
        if (on_first_answer_) std::exchange(on_first_answer_, {})();
        watch_.committed(asked);
        return ask();
      }
      watch_.failed(outcome.error());
      ++turn_;
      pause_.expires_after(std::chrono::milliseconds(5));
      pause_.async_wait([this](const asio::error_code& cancelled) {
        if (!cancelled) ask();
      });
    });
  }

 private:
  GroupCaller caller_;
  Duration timeout_;
  std::size_t turn_;
  Watch& watch_;
  std::function<void()> on_first_answer_;
  asio::steady_timer pause_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
};

// Somebody new every few milliseconds, at one coordinator after the other, with one commit each: who comes while all the others wait
// for a leader that stands still.
class Newcomers {
 public:
  Newcomers(asio::io_context& loop, const Arguments& arguments, const std::vector<rpc::Address>& coordinators,
            Watch& watch)
      : caller_(GroupCall::kCommit, arguments.resources), watch_(watch), next_(loop) {
    rpc::ChannelOptions options;
    options.first_backoff = options.longest_backoff = std::chrono::milliseconds(20);
    for (const auto& address : coordinators)
      channels_.push_back(std::make_unique<rpc::Channel>(loop, address, options));
  }

  void come() {
    const auto asked = boot_now();
    caller_.ask(*channels_[turn_++ % channels_.size()], kPatience, [this, asked](const Status& outcome) {
      if (outcome)
        watch_.committed(asked);
      else
        watch_.failed(outcome.error());
    });
    next_.expires_after(kInterval);
    next_.async_wait([this](const asio::error_code& cancelled) {
      if (!cancelled) come();
    });
  }

 private:
  static constexpr Duration kInterval = std::chrono::milliseconds(10);
  static constexpr Duration kPatience = std::chrono::seconds(10);

  GroupCaller caller_;
  std::size_t turn_ = 0;
  Watch& watch_;
  asio::steady_timer next_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
};

// Lines of the input; its end stops the loop.
class Orders {
 public:
  Orders(asio::io_context& loop, Watch& watch)
      : loop_(loop), watch_(watch), input_(loop, ::dup(STDIN_FILENO)) {}

  void read() {
    asio::async_read_until(input_, buffer_, '\n', [this](const asio::error_code& ended, std::size_t) {
      if (ended) return loop_.stop();
      std::istream lines(&buffer_);
      std::string word;
      lines >> word;
      if (double at = 0; word == "after" && lines >> at)
        watch_.tell_first_after(
            Instant(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(at))));
      if (word == "count") watch_.tell_counts();
      lines.ignore(1);
      read();
    });
  }

 private:
  asio::io_context& loop_;
  Watch& watch_;
  asio::posix::stream_descriptor input_;
  asio::streambuf buffer_;
};

int complain(const std::string& message) {
  std::fputs(fmt::format("bench-failover: {}\n", message).c_str(), stderr);
  return 1;
}

int run(const Arguments& arguments) {
  std::vector<rpc::Address> coordinators;
  for (const auto& text : arguments.coordinators) {
    auto address = rpc::Address::parse(text);
    if (!address) return complain(address.error().message);
    coordinators.push_back(*std::move(address));
  }
  asio::io_context loop{1};
  Watch watch;
  Orders orders(loop, watch);
  orders.read();
  std::size_t cold = arguments.clients;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < arguments.clients; ++i) {
    clients.push_back(std::make_unique<Client>(loop, arguments, coordinators, i, watch, [&cold] {
      if (--cold == 0) Watch::say("warm");
    }));
    clients.back()->ask();
  }
  Newcomers newcomers(loop, arguments, coordinators, watch);
  newcomers.come();
  loop.run();
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{"Clients of a group whose leaders fail. bench/run.sh failover starts the servers, then this."};
  app.add_option("--coordinators", arguments.coordinators, "host:port of each")->delimiter(',')->required();
  app.add_option("--resources", arguments.resources, "a branch in each")->delimiter(',')->required();
  app.add_option("--clients", arguments.clients, "each with one call at a time")->check(CLI::Range(1, 1000));
  app.add_option("--timeout", arguments.timeout_s, "seconds of each call")->check(CLI::Range(0.01, 60.0));
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
