// tests/sim/model/transaction.h
//
// A transaction inside of the server, from its begin to its end.
//
//   active --error (Postgres), deadlock--> doomed --rolled back--> gone
//      '--prepare--> prepared --commit, roll back--> gone
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "participant_agent/dialect/dialect.h"
#include "tests/sim/model/requests.h"
#include "tests/sim/model/rows.h"

namespace troth::sim {

struct Transaction {
  enum class State : std::uint8_t { kActive, kDoomed, kPrepared };
  // What a crash would find of it.
  enum class OnDisk : std::uint8_t { kNothing, kPrepared, kCommitted, kRolledBack };

  TransactionNumber number;
  State state = State::kActive;
  OnDisk on_disk = OnDisk::kNothing;
  std::optional<BranchId> branch;         // XA: its name from the start. Postgres: once it is to be prepared
  std::optional<SessionHandle> session;   // that is inside of it, or that it is tied to
  std::optional<SessionHandle> finisher;  // that ends it, prepared as it is
  agent::Isolation isolation = agent::Isolation::kUnset;
  bool read_only = false;
  bool wrote = false;
  bool takes_slot = false;               // prepared, or about to be
  std::optional<CommitNumber> snapshot;  // where it keeps one
  Instant prepared_at;

  [[nodiscard]] bool keeps_snapshot() const {
    return isolation == agent::Isolation::kRepeatableRead || isolation == agent::Isolation::kSerializable;
  }
};

}  // namespace troth::sim
