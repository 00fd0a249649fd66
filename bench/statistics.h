// bench/statistics.h
//
// The two numbers that many samples are boiled down to. Neither invents a value between two samples where it
// need not: a percentile is a sample that was measured.
#pragma once

#include <vector>

namespace troth::bench {

// The smallest sample that at least `percent` of all samples do not exceed (nearest rank).
// `sorted` is in rising order and not empty; 0 < percent <= 100.
[[nodiscard]] double percentile(const std::vector<double>& sorted, double percent);

// The middle one; of an even number the mean of the two in the middle. Not of none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace troth::bench
