#include "base/runtime/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Metric kTable[] = {
    {"troth_test_votes_total", MetricType::kCounter, "resource,vote", "Votes."},
    {"troth_test_wait_seconds", MetricType::kHistogram, "", "How long it waits."},
    {"troth_test_batch_records", MetricType::kHistogram, "", "Records of a batch."},
    {"troth_test_open", MetricType::kGauge, "", "What is open."},
};

TEST(Metrics, ShowWhatWasWritten) {
  Metrics metrics(MetricTables{kTable});
  metrics.counter("troth_test_votes_total", {{"resource", "pg"}, {"vote", "yes"}}).Increment();
  metrics.gauge("troth_test_open").Set(7);
  metrics.histogram("troth_test_wait_seconds").Observe(0.003);
  metrics.histogram("troth_test_batch_records").Observe(3);
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("troth_test_votes_total{resource=\"pg\",vote=\"yes\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("troth_test_open 7\n"));
  EXPECT_THAT(text, HasSubstr("troth_test_wait_seconds_bucket{le=\"0.0025\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("troth_test_wait_seconds_bucket{le=\"0.005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("troth_test_batch_records_bucket{le=\"4\"} 1\n"));
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameCounter) {
  Metrics metrics(MetricTables{kTable});
  auto& first = metrics.counter("troth_test_votes_total", {{"resource", "pg"}, {"vote", "yes"}});
  auto& again = metrics.counter("troth_test_votes_total", {{"vote", "yes"}, {"resource", "pg"}});
  EXPECT_EQ(&first, &again);
}

TEST(Metrics, ATotalCountedElsewhereOnlyRises) {
  Metrics metrics(MetricTables{kTable});
  auto& votes = metrics.counter("troth_test_votes_total", {{"resource", "pg"}, {"vote", "no"}});
  advance(votes, 5);
  advance(votes, 5);
  advance(votes, 3);
  EXPECT_EQ(votes.Value(), 5);
}

TEST(MetricsDeathTest, WhatIsInNoTableCannotBeWritten) {
  Metrics metrics(MetricTables{kTable});
  EXPECT_DEATH(static_cast<void>(metrics.counter("troth_other_total")), "in no table");
  EXPECT_DEATH(static_cast<void>(metrics.gauge("troth_test_votes_total")), "is a counter");
  EXPECT_DEATH(static_cast<void>(metrics.counter("troth_test_votes_total", {{"vote", "yes"}})), "labels");
}

// Prometheus sees an increase only of a series that was there before it.
TEST(Metrics, EachErrorCodeIsThereAtZeroFromTheBeginning) {
  constexpr Metric kRefused[] = {{"troth_test_refused_total", MetricType::kCounter, "code", "Refused."}};
  Metrics metrics(MetricTables{kRefused});
  begin_codes(metrics, "troth_test_refused_total");
  const auto text = metrics.text();
  for (const auto* code : {"invalid_argument", "timeout", "internal"})
    EXPECT_THAT(text, HasSubstr(fmt::format("troth_test_refused_total{{code=\"{}\"}} 0\n", code)));
  EXPECT_THAT(text, Not(HasSubstr("invalid\"")));
}

TEST(Metrics, NamesFollowTheConventions) {
  for (const auto& metric : kProcessMetrics) {
    const bool is_counter = metric.type == MetricType::kCounter;
    EXPECT_EQ(is_counter, metric.name.ends_with("_total")) << metric.name;
    EXPECT_TRUE(metric.help.ends_with(".")) << metric.name;
  }
}

TEST(Metrics, ThePageNamesEachWithItsLabels) {
  const auto page = metrics_reference("troth-test", {kProcessMetrics, kTable});
  EXPECT_THAT(page, HasSubstr("| `troth_test_votes_total` | counter | `resource`, `vote` | Votes. |\n"));
  EXPECT_THAT(page, HasSubstr("| `process_open_fds` | gauge |"));
  EXPECT_THAT(page, Not(HasSubstr("invalid")));
}

}  // namespace
}  // namespace troth
