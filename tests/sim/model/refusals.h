// tests/sim/model/refusals.h
//
// What the model refuses, in the codes of the server that it stands for, read by the agent's own table of codes.
#pragma once

#include <cstdint>
#include <string>

#include "participant_agent/dialect/database_error.h"

namespace troth::sim {

enum class Fault : std::uint8_t {
  kDuplicateKey,
  kCheckViolated,
  kLockTimeout,
  kDeadlock,
  kSerialization,
  kCancelled,
  kUnknownXid,
  kDuplicateXid,
  kXidBusy,  // Postgres: another session is finishing it
  kNoSlot,   // Postgres: for a prepared transaction
  kDoomed,
  kReadOnlyTransaction,
  kReadOnlyServer,
  kInRecovery,  // Postgres: a standby begins no transaction that may write
  kOutside,     // InnoDB: the session is inside of another branch
  kUnknownStatement,
  kConnectionLost,
};

[[nodiscard]] agent::ClassifiedError refusal(agent::DatabaseKind kind, agent::Speaker speaker, Fault fault,
                                             const std::string& about);

}  // namespace troth::sim
