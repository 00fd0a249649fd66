#include "base/runtime/metrics.h"

#include <ranges>
#include <set>

#include <fmt/format.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/check.h"
#include "base/result.h"

namespace troth {
namespace {

constexpr Metric kProcessTable[] = {
    {"troth_build_info", MetricType::kGauge, "version", "1; the version that runs is in the label."},
    {"troth_event_loop_delay_seconds", MetricType::kGauge, "",
     "How long the last look at the event loop waited for its turn."},
    {"troth_event_loop_looks_total", MetricType::kCounter, "",
     "Looks at the event loop: what is a state, and not a count of events, is as of the last one."},
    {"troth_event_loop_stalled_seconds", MetricType::kGauge, "",
     "How long a look at the event loop has been waiting for its turn now; 0: none waits."},
    {"troth_log_lines_total", MetricType::kCounter, "level", "Lines written at level warning or error."},
    {"troth_log_lines_held_back_total", MetricType::kCounter, "",
     "Lines that log.lines_per_second held back."},
    {"process_start_time_seconds", MetricType::kGauge, "", "When the process began, in Unix seconds."},
    {"process_cpu_seconds_total", MetricType::kCounter, "", "CPU time of all threads, user and system."},
    {"process_resident_memory_bytes", MetricType::kGauge, "", "Memory that the process holds."},
    {"process_open_fds", MetricType::kGauge, "", "Open file descriptors."},
    {"process_max_fds", MetricType::kGauge, "", "The limit on open file descriptors."},
};

// From a tenth of a millisecond, which a journal on a good disk takes, to longer than anybody waits.
const Histogram::BucketBoundaries kSeconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};
const Histogram::BucketBoundaries kThings{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

const Histogram::BucketBoundaries& buckets_of(std::string_view name) {
  return name.ends_with("_seconds") ? kSeconds : kThings;
}

std::string_view name_of(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kHistogram: return "histogram";
  }
  return "invalid";
}

std::set<std::string> label_names(const Metric& metric) {
  std::set<std::string> names;
  if (metric.labels.empty()) return names;
  for (const auto name : std::views::split(metric.labels, ','))
    names.emplace(name.begin(), name.end());
  return names;
}

template <typename Each>
using Family = prometheus::Family<Each>;

}  // namespace

const std::span<const Metric> kProcessMetrics{kProcessTable};

struct Metrics::Families {
  struct Known {
    Metric metric;
    std::set<std::string> labels;
    Family<Counter>* counters = nullptr;
    Family<Gauge>* gauges = nullptr;
    Family<Histogram>* histograms = nullptr;

    void begin() const {
      if (counters != nullptr) static_cast<void>(counters->Add({}));
      if (gauges != nullptr) static_cast<void>(gauges->Add({}));
      if (histograms != nullptr) static_cast<void>(histograms->Add({}, buckets_of(metric.name)));
    }
  };
  std::map<std::string, Known, std::less<>> by_name;

  Known& find(std::string_view name, MetricType type, const Labels& labels) {
    const auto found = by_name.find(name);
    CHECK(found != by_name.end(), "metric {} is in no table", name);
    auto& known = found->second;
    CHECK(known.metric.type == type, "metric {} is a {}", name, name_of(known.metric.type));
    const auto given = labels | std::views::keys;
    CHECK(std::ranges::equal(given, known.labels), "metric {} has the labels '{}'", name,
          known.metric.labels);
    return known;
  }
};

Metrics::Metrics(const MetricTables& tables)
    : registry_(std::make_unique<prometheus::Registry>()), families_(std::make_unique<Families>()) {
  for (const auto& table : tables) {
    for (const auto& metric : table) {
      Families::Known known{metric, label_names(metric)};
      const std::string name(metric.name);
      const std::string help(metric.help);
      switch (metric.type) {
        case MetricType::kCounter:
          known.counters = &prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
          break;
        case MetricType::kGauge:
          known.gauges = &prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
          break;
        case MetricType::kHistogram:
          known.histograms = &prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
          break;
      }
      // One without labels is there from the first page on, so that an alert on it never looks at nothing.
      if (known.labels.empty()) known.begin();
      const bool fresh = families_->by_name.emplace(name, std::move(known)).second;
      CHECK(fresh, "metric {} stands in the tables twice", name);
    }
  }
}

Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, const Labels& labels) {
  return families_->find(name, MetricType::kCounter, labels).counters->Add(labels);
}

Gauge& Metrics::gauge(std::string_view name, const Labels& labels) {
  return families_->find(name, MetricType::kGauge, labels).gauges->Add(labels);
}

Histogram& Metrics::histogram(std::string_view name, const Labels& labels) {
  auto& known = families_->find(name, MetricType::kHistogram, labels);
  return known.histograms->Add(labels, buckets_of(name));
}

void Metrics::forget(std::string_view name, Gauge& gauge) {
  const auto found = families_->by_name.find(name);
  CHECK(found != families_->by_name.end() && found->second.gauges != nullptr, "gauge {} is in no table",
        name);
  found->second.gauges->Remove(&gauge);
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

void begin_codes(Metrics& metrics, std::string_view name, Metrics::Labels labels) {
  for (auto code = ErrorCode::kInvalidArgument; code <= ErrorCode::kInternal;
       code = static_cast<ErrorCode>(static_cast<int>(code) + 1)) {
    labels.insert_or_assign("code", std::string(name_of(code)));
    static_cast<void>(metrics.counter(name, labels));
  }
}

std::string metrics_reference(std::string_view program, const MetricTables& tables) {
  std::string page = fmt::format(
      "# Metrics of {0}\n\n"
      "At `/metrics` of `http_listen`. Made by `{0} --metrics-reference`; a test compares. What to watch of "
      "them:\n"
      "[monitoring.md](monitoring.md).\n\n"
      "| metric | type | labels | meaning |\n|---|---|---|---|\n",
      program);
  for (const auto& table : tables) {
    for (const auto& metric : table) {
      std::string labels;
      for (const auto& label : label_names(metric))
        labels += fmt::format("{}`{}`", labels.empty() ? "" : ", ", label);
      page +=
          fmt::format("| `{}` | {} | {} | {} |\n", metric.name, name_of(metric.type), labels, metric.help);
    }
  }
  return page;
}

}  // namespace troth
