#include "base/runtime/monitor.h"

#include <atomic>
#include <future>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/base_runtime/http_client.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr Metric kTable[] = {{"troth_test_open", MetricType::kGauge, "", "What is open."}};

class MonitorTest : public testing::Test {
 protected:
  ~MonitorTest() override {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    monitor_.reset();
  }

  void open() {
    Monitor::Options options;
    options.host = "127.0.0.1";
    options.refresh = [this] { metrics_.gauge("troth_test_open").Set(++looks_); };
    options.readiness = [this] {
      return ready_ ? Readiness{true, {}, {}} : Readiness{false, "no leader was heard", "start one"};
    };
    auto opened = Monitor::open(loop_, metrics_, std::move(options));
    ASSERT_TRUE(opened.has_value());
    monitor_ = *std::move(opened);
  }
  void run_loop() {
    thread_ = std::thread([this] { loop_.run(); });
  }
  std::string get(const std::string& path) { return http_get(monitor_->address(), path); }

  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(loop_);
  Metrics metrics_{MetricTables{kProcessMetrics, kTable}};
  std::atomic<int> looks_ = 0;
  std::atomic<bool> ready_ = false;
  std::unique_ptr<Monitor> monitor_;
  std::thread thread_;
};

TEST_F(MonitorTest, ShowsMetricsAsTheLoopSeesThem) {
  open();
  run_loop();
  const auto page = get("/metrics");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(page, HasSubstr("\ntroth_test_open "));
  EXPECT_THAT(page, HasSubstr("\ntroth_build_info{version="));
  EXPECT_THAT(page, HasSubstr("\nprocess_open_fds "));
}

TEST_F(MonitorTest, ManyWhoAskCostTheLoopFewLooks) {
  open();
  run_loop();
  for (int n = 0; n < 100; ++n)
    EXPECT_THAT(get("/metrics"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(looks_, 50);
}

TEST_F(MonitorTest, ReadyzSaysWhyNotAndWhatToDo) {
  open();
  run_loop();
  const auto page = get("/readyz");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(page, HasSubstr("not ready: no leader was heard\nremedy: start one\n"));
  ready_ = true;
  EXPECT_TRUE(holds_within(10s, [&] { return get("/readyz").starts_with("HTTP/1.1 200 "); }));
}

TEST_F(MonitorTest, BeforeTheLoopBeginsItLivesAndIsNotReady) {
  open();
  EXPECT_THAT(get("/healthz"), HasSubstr("starting"));
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(MonitorTest, ALoopThatDoesNotTurnIsNotHealthyAndItsMetricsAreThereAllTheSame) {
  open();
  run_loop();
  ASSERT_TRUE(holds_within(10s, [&] { return get("/healthz").find("\r\n\r\nok") != std::string::npos; }));
  std::promise<void> go_on;
  asio::post(loop_, [blocked = go_on.get_future().share()] { blocked.wait(); });
  EXPECT_TRUE(holds_within(20s, [&] { return get("/healthz").starts_with("HTTP/1.1 503 "); }));
  EXPECT_THAT(get("/readyz"), HasSubstr("does not turn"));
  EXPECT_THAT(get("/metrics"), HasSubstr("\ntroth_test_open "));
  go_on.set_value();
  EXPECT_TRUE(holds_within(20s, [&] { return get("/healthz").starts_with("HTTP/1.1 200 "); }));
}

TEST_F(MonitorTest, KnowsNothingElse) {
  open();
  run_loop();
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 404 "));
}

}  // namespace
}  // namespace troth
