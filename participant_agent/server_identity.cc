#include "participant_agent/server_identity.h"

#include <fmt/format.h>

namespace troth::agent {

ServerVerdict compare_server(const OwnershipMemory& memory, const ServerRow& seen) {
  using Kind = ServerVerdict::Kind;
  if (seen.read_only) return {Kind::kReadOnly, "the server takes no writes (a standby, or read_only is set)"};
  if (!memory.identity) return {};
  const auto& known = *memory.identity;
  if (seen.server != known.server)
    return {Kind::kOther, fmt::format("the server is {}, the journal knows {}", seen.server, known.server)};
  if (seen.installation != known.installation) {
    return {Kind::kOther, fmt::format("Troth's installation here is {}, the journal knows {}",
                                      seen.installation, known.installation)};
  }
  if (seen.timeline != known.timeline) {
    return {Kind::kSetBack,
            fmt::format("the server's timeline is {}, the journal knows {}: it was promoted or restored",
                        seen.timeline, known.timeline)};
  }
  if (seen.holds_known_gtid && !*seen.holds_known_gtid)
    return {Kind::kSetBack, "the server's gtid_executed lacks transactions that the journal knows"};
  if (seen.owner.counter < memory.counter) {
    return {Kind::kSetBack, fmt::format("the owner row's counter is {}, the journal knows {}",
                                        seen.owner.counter, memory.counter)};
  }
  return {};
}

}  // namespace troth::agent
