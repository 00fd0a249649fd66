#include "base/runtime/monitor.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/http_server.h"

namespace troth {
namespace {

constexpr Duration kFreshFor = std::chrono::milliseconds(500);
constexpr Duration kPatience = std::chrono::seconds(2);

std::string page_of(const Readiness& readiness) {
  if (readiness.ready) return "ready\n";
  auto page = fmt::format("not ready: {}\n", readiness.reason);
  if (!readiness.remedy.empty()) page += fmt::format("remedy: {}\n", readiness.remedy);
  return page;
}

}  // namespace

// The HTTP thread's, but for `look`, which runs on the loop's.
class Monitor::Core : public std::enable_shared_from_this<Monitor::Core> {
 public:
  Core(asio::io_context& loop, Metrics& metrics, Options options)
      : loop_(loop), metrics_(metrics), options_(std::move(options)) {}

  Status open() {
    HttpServerOptions http;
    http.host = options_.host;
    http.port = options_.port;
    auto server = HttpServer::open(
        std::move(http), [this](const std::string& path, auto done) { answer(path, std::move(done)); });
    if (!server) return std::unexpected(std::move(server.error()));
    {
      const std::lock_guard lock(server_mutex_);
      server_ = *std::move(server);
      address_ = server_->address();
    }
    ask_for_look();
    return {};
  }

  void close() {
    closed_ = true;
    std::unique_ptr<HttpServer> server;
    {
      const std::lock_guard lock(server_mutex_);
      server = std::move(server_);
    }
  }

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  struct Looked {
    Readiness readiness;
    Instant asked;
    Instant at;
  };
  using Done = std::function<void(HttpAnswer)>;

  void answer(const std::string& path, Done done) {
    if (path == "/metrics") return when_looked([this, done = std::move(done)] { done(metrics_page()); });
    if (path == "/healthz") return when_looked([this, done = std::move(done)] { done(health()); });
    if (path == "/readyz") return when_looked([this, done = std::move(done)] { done(ready()); });
    done({404, "see /metrics, /healthz or /readyz\n"});
  }

  // Behind a fresh look, or without one when the loop does not turn in time.
  void when_looked(std::function<void()> action) {
    if (looked_ && boot_now() - looked_->at < kFreshFor) return action();
    waiting_.push_back(std::move(action));
    ask_for_look();
    if (std::exchange(watching_, true)) return;
    give_up_later();
  }

  void ask_for_look() {
    if (asked_.load() != Instant{}) return;
    const auto asked = boot_now();
    asked_.store(asked);
    asio::post(loop_, [core = shared_from_this(), asked] { core->look(asked); });
  }

  void look(Instant asked) {
    if (closed_) return;
    Looked looked;
    looked.asked = asked;
    looked.at = boot_now();
    metrics_.counter("troth_event_loop_looks_total").Increment();
    if (options_.refresh) options_.refresh();
    if (options_.readiness) looked.readiness = options_.readiness();
    asked_.store({});
    const std::lock_guard lock(server_mutex_);
    if (!server_) return;
    server_->post([this, looked = std::move(looked)]() mutable {
      looked_ = std::move(looked);
      run_waiting();
    });
  }

  void run_waiting() {
    for (const auto& action : std::exchange(waiting_, {}))
      action();
  }

  // A look that is not there in time: everybody who waits for it is told what is known.
  void give_up_later() {
    const std::lock_guard lock(server_mutex_);
    if (!server_) return;
    server_->post_after(std::chrono::duration_cast<std::chrono::milliseconds>(kPatience), [this] {
      watching_ = false;
      run_waiting();
    });
  }

  [[nodiscard]] Duration stalled() const {
    const auto asked = asked_.load();
    return asked == Instant{} ? Duration{} : boot_now() - asked;
  }

  HttpAnswer metrics_page() {
    metrics_.gauge("troth_event_loop_stalled_seconds").Set(seconds_of(stalled()));
    if (looked_)
      metrics_.gauge("troth_event_loop_delay_seconds").Set(seconds_of(looked_->at - looked_->asked));
    refresh_process_metrics(metrics_);
    return {200, metrics_.text(), "text/plain; version=0.0.4; charset=utf-8"};
  }

  [[nodiscard]] HttpAnswer health() const {
    if (!looked_) return {200, "starting\n"};
    if (stalled() < kPatience) return {200, "ok\n"};
    return {503, fmt::format("the event loop has not turned for {:.1f} s\n", seconds_of(stalled()))};
  }

  [[nodiscard]] HttpAnswer ready() const {
    if (!looked_) return {503, page_of({false, "the process is starting", "wait"})};
    if (stalled() >= kPatience)
      return {503, page_of({false, "the event loop does not turn", "see what keeps this process busy"})};
    return {looked_->readiness.ready ? 200 : 503, page_of(looked_->readiness)};
  }

  asio::io_context& loop_;
  Metrics& metrics_;
  const Options options_;
  std::atomic<bool> closed_{false};
  std::atomic<Instant> asked_{Instant{}};  // the look that waits for its turn; none: the epoch

  // The HTTP thread's.
  std::optional<Looked> looked_;
  std::vector<std::function<void()>> waiting_;
  bool watching_ = false;

  std::mutex server_mutex_;  // between a look that ends and close()
  std::string address_;
  std::unique_ptr<HttpServer> server_;
};

Result<std::unique_ptr<Monitor>> Monitor::open(asio::io_context& loop, Metrics& metrics, Options options) {
  auto core = std::make_shared<Core>(loop, metrics, std::move(options));
  if (auto opened = core->open(); !opened) return std::unexpected(std::move(opened.error()));
  return std::unique_ptr<Monitor>(new Monitor(std::move(core)));
}

Monitor::Monitor(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Monitor::~Monitor() {
  core_->close();
}

const std::string& Monitor::address() const {
  return core_->address();
}

}  // namespace troth
