// The product has none. plants.py writes the list in this file's place, in the copy that it plants.
#include "tests/sim/planted/names.h"

namespace troth::sim {

std::span<const std::string_view> planted_names() {
  return {};
}

}  // namespace troth::sim
