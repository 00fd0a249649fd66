#include "tests/sim/core/trace.h"

#include <fmt/format.h>

namespace troth::sim {

void Trace::print_line(Duration at, std::string_view who, std::string_view what,
                       const std::string& text) const {
  print_(fmt::format("{:12.6f} {:<6} {}{}{}", static_cast<double>(at.count()) / 1e6, who, what,
                     text.empty() ? "" : " ", text));
}

}  // namespace troth::sim
