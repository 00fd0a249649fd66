#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_set_back(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* asked = std::get_if<BarrierAsked>(&happening);
  if (asked != nullptr && evidence.set_back.contains(asked->database))
    broken.push_back(fmt::format(
        "T9: database {} was set back, nobody let it be used, and a barrier is to prove something there",
        asked->database.value + 1));
}

}  // namespace troth::sim
