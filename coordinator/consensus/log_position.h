// coordinator/consensus/log_position.h
//
// How far a replica's own log has come.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.h"

namespace troth::coordinator::consensus {

// A record's number in this replica's own log; consecutive. Zero: nothing to wait for.
using LogWrite = Named<struct LogWriteTag, std::uint64_t>;

// What of it is durable, in which of the replica's starts that voted: it only rises, unless the disk was set back. A log that
// was cut goes on with lower writes, in a later start.
struct LogPosition {
  std::uint64_t start = 0;
  LogWrite write;
  auto operator<=>(const LogPosition&) const = default;
};

}  // namespace troth::coordinator::consensus
