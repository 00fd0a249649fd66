// tests/sim/bank/client.h
//
// A service that moves money between accounts of two databases, or of one. It knows nothing but Troth's contract: each
// transfer has a request_id, what is unknown is sent again with the same one or asked about, and what must not happen any
// more is barred.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "participant_agent/dialect/database_kind.h"
#include "tests/sim/bank/ledger.h"
#include "tests/sim/nodes/machine.h"

namespace troth::sim {

struct ClientPlan {
  std::string name;
  std::vector<std::string> coordinators;  // their addresses: it may call any
  struct Resource {
    std::string name;
    agent::DatabaseKind kind = agent::DatabaseKind::kPostgres;
    std::int64_t accounts = 0;
  };
  std::vector<Resource> resources;
  std::uint32_t transfers = 0;    // to be begun
  Duration pause{};               // between two, at most
  std::uint32_t one_phase = 0;    // of 10,000
  std::uint32_t interactive = 0;  // of 10,000 come statement by statement
  std::uint32_t decided = 0;      // of 10,000 ask for that acknowledgement
  std::uint32_t bars = 0;         // of 10,000 unknown outcomes are barred
  std::uint32_t impatient = 0;    // of 10,000 calls are not waited for
  std::uint32_t repeats = 0;      // of 10,000 statements are asked for twice
  std::uint32_t audits = 0;       // of 10,000 transfers begin with a question about an earlier one
  Duration timeout = std::chrono::seconds(5);
};

// `begun` counts over all starts of the program: a client that crashes forgets what it was doing, and a later start
// asks about it first, as one with a journal of its own does.
[[nodiscard]] Node::Boot client_program(ClientPlan plan, Ledger& ledger);

}  // namespace troth::sim
