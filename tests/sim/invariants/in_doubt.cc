#include "tests/sim/invariants/in_doubt.h"

#include "tests/sim/simulation.h"

namespace troth::sim {

std::set<std::size_t> in_doubt(const Simulation& simulation, const std::string& transaction) {
  std::set<std::size_t> found;
  const auto& databases = simulation.databases();
  for (std::size_t i = 0; i < databases.size(); ++i)
    for (const auto& branch : databases[i]->server().prepared())
      if (branch.transaction.text() == transaction) found.insert(i);
  return found;
}

}  // namespace troth::sim
