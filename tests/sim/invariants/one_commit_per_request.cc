#include <fmt/format.h>

#include "tests/sim/invariants/invariants.h"
#include "tests/sim/invariants/run_end.h"

namespace troth::sim {

void check_one_commit_per_request(const RunEnd& end, Broken& broken) {
  for (const auto& [key, by] : end.committed) {
    if (by.size() <= 1) continue;
    broken.push_back(fmt::format("one commit per request: {} of {} was committed {} times, as {} and as {}",
                                 key.id.text(), key.client, by.size(), by.begin()->first,
                                 std::next(by.begin())->first));
  }
}

}  // namespace troth::sim
