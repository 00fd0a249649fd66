// tests/sim/operator/operator.h
//
// Somebody who looks at the cluster from time to time, and does by hand what only a hand may do: through the calls that the
// tool `troth` makes, and only where what it shows says so.
//
//   a resource is `set back` or `not owner`   --> after a look: take-over
//   a branch is `too old`                     --> looks into the books: resolve
//   a decided branch is `lost`                --> resolve, so that its decision may end
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "tests/sim/nodes/machine.h"

namespace troth::sim {

struct OperatorPlan {
  std::vector<std::string> coordinators;  // their addresses
  std::vector<std::string> agents;
  // So many of 10,000 branches are ended without a look into the books.
  std::uint32_t mistakes = 0;
  // What the books of the bank, and the markers of every database, tell of a transaction.
  std::function<bool(const TransactionId&)> was_committed;
};

[[nodiscard]] Node::Boot operator_program(OperatorPlan plan);

}  // namespace troth::sim
