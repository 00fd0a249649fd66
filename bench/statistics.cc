#include "bench/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace troth::bench {

double percentile(const std::vector<double>& sorted, double percent) {
  CHECK(!sorted.empty());
  CHECK(percent > 0 && percent <= 100, "percent is {}", percent);
  const auto count = static_cast<double>(sorted.size());
  const auto rank = static_cast<std::size_t>(std::ceil(percent * count / 100));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

double median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace troth::bench
