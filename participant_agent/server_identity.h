// participant_agent/server_identity.h
//
// Is the server behind a resource still the one the journal knows, and no younger copy of it? Asked at start,
// after each reconnect, and on the same session before a barrier is used as proof: on a server that was set
// back absence proves nothing, for what is missing may have been acknowledged [T9, attacks 3 and 46].
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/journal_replay.h"

namespace troth::agent {

struct ServerVerdict {
  enum class Kind : std::uint8_t {
    kSame,
    kOther,     // another server or another installation: the configuration points elsewhere
    kSetBack,   // the same one, at an earlier time or on another timeline
    kReadOnly,  // a standby, or not yet writable: look again later
  };
  Kind kind = Kind::kSame;
  std::string reason;  // what was seen and what was expected
};

// `memory` without an identity (never served): anything writable is the same.
[[nodiscard]] ServerVerdict compare_server(const OwnershipMemory& memory, const ServerRow& seen);

}  // namespace troth::agent
