#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_ownership(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* given_up = std::get_if<ResourceGivenUp>(&happening);
  if (given_up == nullptr) return;
  const bool has_reason =
      evidence.damaged.contains(given_up->agent) || evidence.ever_set_back.contains(given_up->database);
  if (!has_reason)
    broken.push_back(
        fmt::format("{} shows database {} as {}, and neither its journal nor the database ever lost anything",
                    given_up->agent, given_up->database.value + 1, given_up->state));
}

}  // namespace troth::sim
