// bench-decide: asks one coordinator for decisions, as many in flight as given, each in a call of its own on one
// connection; every answer is checked and asks for the next. One line of JSON. For bench/runtime/decide.py and recover.py.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "bench/runtime/group_calls.h"
#include "bench/statistics.h"

namespace troth::bench {
namespace {

struct Arguments {
  std::string coordinator;
  std::string call;
  std::vector<std::string> resources;
  std::size_t in_flight = 1;
  double seconds = 5;
  double warm_up = 1;
  std::uint64_t calls = 0;  // so many, and no more; 0: for as long as `seconds` says
};

constexpr Duration kTimeout = std::chrono::seconds(30);

Duration in_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

class Load {
 public:
  Load(const Arguments& arguments, rpc::Address coordinator)
      : arguments_(arguments),
        caller_(group_call_named(arguments.call), arguments.resources),
        channel_(loop_, std::move(coordinator), {}) {}

  // The first failure ends it.
  Status run() {
    const auto begin = boot_now();
    from_ = arguments_.calls == 0 ? begin + in_seconds(arguments_.warm_up) : begin;
    until_ = arguments_.calls == 0 ? from_ + in_seconds(arguments_.seconds) : Instant::max();
    for (std::size_t i = 0; i < arguments_.in_flight; ++i)
      ask();
    loop_.run();
    return failure_;
  }

  [[nodiscard]] std::string json() {
    std::ranges::sort(latencies_ms_);
    const auto elapsed = std::chrono::duration<double>(last_ - from_).count();
    return fmt::format(
        R"({{"call": "{}", "in_flight": {}, "answered": {}, "seconds": {:.4f}, "per_s": {:.1f}, "p50_ms": {:.4f}, )"
        R"("p99_ms": {:.4f}, "worst_ms": {:.4f}}})",
        arguments_.call, arguments_.in_flight, latencies_ms_.size(), elapsed,
        static_cast<double>(latencies_ms_.size()) / elapsed, percentile(latencies_ms_, 50),
        percentile(latencies_ms_, 99), latencies_ms_.back());
  }
  [[nodiscard]] bool measured_something() const { return !latencies_ms_.empty(); }

 private:
  void ask() {
    ++asked_;
    ++running_;
    caller_.ask(channel_, kTimeout,
                [this, sent = boot_now()](const Status& outcome) { answered(sent, outcome); });
  }

  void answered(Instant sent, const Status& outcome) {
    --running_;
    if (!outcome) {
      // The others fail for no reason but this one's.
      if (failure_) failure_ = outcome;
      return channel_.close();
    }
    const auto now = boot_now();
    if (now >= from_ && now < until_) {
      latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - sent).count());
      last_ = now;
    }
    if (failure_ && now < until_ && (arguments_.calls == 0 || asked_ < arguments_.calls)) ask();
    // Else the connection would keep the loop running.
    if (running_ == 0) channel_.close();
  }

  const Arguments& arguments_;
  asio::io_context loop_{1};
  GroupCaller caller_;
  rpc::Channel channel_;
  Instant from_;
  Instant until_;
  Instant last_;
  std::uint64_t asked_ = 0;
  std::size_t running_ = 0;
  std::vector<double> latencies_ms_;
  Status failure_;
};

int complain(const std::string& message) {
  std::fputs(fmt::format("bench-decide: {}\n", message).c_str(), stderr);
  return 1;
}

int run(const Arguments& arguments) {
  auto coordinator = rpc::Address::parse(arguments.coordinator);
  if (!coordinator) return complain(coordinator.error().message);
  Load load(arguments, *std::move(coordinator));
  if (const auto done = load.run(); !done) return complain(done.error().message);
  if (!load.measured_something()) return complain("nothing was answered in that time");
  fmt::print("{}\n", load.json());
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{"Asks one coordinator for decisions. bench/run.sh decide starts the servers, then this."};
  app.add_option("--coordinator", arguments.coordinator, "host:port")->required();
  app.add_option("--call", arguments.call, "what is asked for")
      ->required()
      ->check(CLI::IsMember(troth::bench::names_of_group_calls()));
  app.add_option("--resources", arguments.resources, "of commit and decide: a branch in each")
      ->delimiter(',');
  app.add_option("--in-flight", arguments.in_flight, "calls at once")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", arguments.seconds, "how long is measured")->check(CLI::Range(0.05, 36'000.0));
  app.add_option("--warm-up", arguments.warm_up, "how long before")->check(CLI::Range(0.0, 3600.0));
  app.add_option("--calls", arguments.calls, "so many in place of a time")->check(CLI::Range(1, 100'000'000));
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
