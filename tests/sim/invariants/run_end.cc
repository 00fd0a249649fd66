#include "tests/sim/invariants/run_end.h"

namespace troth::sim {

std::set<std::size_t> RunEnd::in_doubt(const std::string& transaction) const {
  std::set<std::size_t> found;
  for (std::size_t i = 0; i < databases.size(); ++i)
    for (const auto& branch : databases[i].prepared)
      if (branch.transaction.text() == transaction) found.insert(i);
  return found;
}

}  // namespace troth::sim
