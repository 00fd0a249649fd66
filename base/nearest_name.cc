#include "base/nearest_name.h"

#include <algorithm>
#include <vector>

namespace troth {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the classic table: two back (for swaps), the previous one, and the one being filled.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::optional<std::string> nearest_name(std::string_view written, std::span<const std::string> names) {
  const std::size_t near_enough = std::max<std::size_t>(2, written.size() / 3);
  std::optional<std::string> nearest;
  std::size_t least = near_enough + 1;
  for (const auto& name : names) {
    const auto distance = edit_distance(written, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace troth
