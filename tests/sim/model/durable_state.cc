#include "tests/sim/model/durable_state.h"

#include <fmt/format.h>

namespace troth::sim {

std::string text_of(const GtidSet& gtids) {
  std::string text;
  for (const auto& [server, count] : gtids)
    text += fmt::format("{}{}:1-{}", text.empty() ? "" : ",", server, count);
  return text;
}

bool holds(const GtidSet& gtids, const std::string& known) {
  std::size_t from = 0;
  while (from < known.size()) {
    const std::size_t end = std::min(known.find(',', from), known.size());
    const std::string part = known.substr(from, end - from);
    const std::size_t colon = part.find(":1-");
    if (colon == std::string::npos) return false;
    const auto server = gtids.find(part.substr(0, colon));
    if (server == gtids.end() || server->second < std::stoull(part.substr(colon + 3))) return false;
    from = end + 1;
  }
  return true;
}

}  // namespace troth::sim
