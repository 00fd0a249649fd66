// tests/sim/operator/group_operator.h
//
// Changes who is in the group of coordinators, from time to time, while faults strike: by the calls that the tool makes, and
// with what these show.
//
//   a replica is lost, or its disk was set back  --> removed, as soon as those that stay can do without it
//   there is a learner                           --> promoted, mostly when it has learned enough
//   there is somebody who is not in the group    --> added as a learner
//   any voter                                    --> removed, the leader too; or given the lead
//
// Like an operator in his right mind it never leaves a group behind that cannot elect a leader without the replica whose
// disk may be damaged. When the faults heal it asks for no more changes: the last one has to come to its end by itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/nodes/machine.h"

namespace troth::sim {

struct GroupOperatorPlan {
  std::vector<std::string> coordinators;  // their addresses, replica 1 the first of them
  Duration pause{};                       // between two changes, at most
  std::size_t least = 1;                  // so many voters stay
  std::uint32_t doubtful = 0;             // whose disk may be damaged; 0: nobody's
  bool may_lose = false;                  // it may be lost for good
  std::function<bool()> is_over;
  std::function<bool(std::uint32_t replica)> is_lost;  // whoever stands before the machine knows it
};

[[nodiscard]] Node::Boot group_operator_program(GroupOperatorPlan plan);

}  // namespace troth::sim
