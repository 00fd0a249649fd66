// base/runtime/metrics.h
//
// What a process counts and measures, for Prometheus. Each program has one table that names every metric, its
// labels and its meaning; a metric that is not in it cannot be written, and docs/metrics.md is made from it.
//
//   constexpr Metric kTable[] = {{"troth_agent_votes_total", MetricType::kCounter, "resource,vote", "..."}};
//   Metrics metrics(MetricTables{kProcessMetrics, kTable});
//   auto& yes = metrics.counter("troth_agent_votes_total", {{"resource", "pg"}, {"vote", "yes"}});
//   yes.Increment();
//
// Get a counter once and keep it: looking it up takes a lock, writing it does not (a histogram's own, which
// nobody holds for long). Any thread may write, look up and read text().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "base/time.h"

namespace prometheus {
class Registry;
}

namespace troth {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

enum class MetricType : std::uint8_t {
  kCounter,
  kGauge,
  kHistogram,  // of seconds when its name says so, else of a number of things
};

struct Metric {
  std::string_view name;
  MetricType type = MetricType::kGauge;
  std::string_view labels;  // names, with commas between them; empty: none
  std::string_view help;    // a sentence
};

using MetricTables = std::vector<std::span<const Metric>>;

// What every program says of itself.
extern const std::span<const Metric> kProcessMetrics;

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  explicit Metrics(const MetricTables& tables);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The metric must stand in a table, with this type and these labels. What is returned lives as long as this.
  [[nodiscard]] Counter& counter(std::string_view name, const Labels& labels = {});
  [[nodiscard]] Gauge& gauge(std::string_view name, const Labels& labels = {});
  [[nodiscard]] Histogram& histogram(std::string_view name, const Labels& labels = {});

  // It is shown no more; whoever holds it must not write it again.
  void forget(std::string_view name, Gauge& gauge);

  // What Prometheus reads (text format 0.0.4).
  [[nodiscard]] std::string text() const;

 private:
  struct Families;
  std::unique_ptr<prometheus::Registry> registry_;
  std::unique_ptr<Families> families_;
};

// Makes the counter of each error code, at zero: an increase is seen only of a series that was there before it.
void begin_codes(Metrics& metrics, std::string_view name, Metrics::Labels labels = {});

// A total that is counted elsewhere and only rises.
inline void advance(Counter& counter, std::uint64_t total) {
  const double more = static_cast<double>(total) - counter.Value();
  if (more > 0) counter.Increment(more);
}

[[nodiscard]] constexpr double seconds_of(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

// The page that describes them.
[[nodiscard]] std::string metrics_reference(std::string_view program, const MetricTables& tables);

}  // namespace troth
