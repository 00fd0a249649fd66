// tests/sim/model/requests.h
//
// What a client asks of a model database, and what it is answered: the calls of DatabaseConnection as values, so that
// one may be under way while others are, in virtual time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth::sim {

struct RunBranch {
  agent::BranchWork work;
};
struct RunStatement {
  agent::BranchWork work;
  agent::OpenStatement statement;
};
struct PrepareOpen {
  agent::BranchWork work;
  bool marked = false;
  bool hold = false;
};
struct RollBackOpen {
  agent::BranchWork work;
};
struct ReleaseHeld {};
struct FinishPrepared {
  BranchId branch;
  agent::PreparedEnding ending = agent::PreparedEnding::kCommit;
};
struct ReadMarkers {
  BranchId branch;
  std::optional<RequestKey> request;
};
struct MarkResolved {
  BranchId branch;
};
struct InsertBarrier {
  BranchId branch;
  EpochNumber epoch;
  std::chrono::milliseconds wait{};
};
struct InsertRequestBarrier {
  RequestKey request;
  EpochNumber epoch;
  std::chrono::milliseconds wait{};
};
struct ListPrepared {};
struct ListRoleSessions {};
struct EndSession {
  agent::SessionIdentity session;
};
struct ReadServer {
  std::string known_gtid;
};
struct ClaimOwner {
  agent::OwnerRow expected;
  agent::OwnerRow claimed;
};
struct RaiseCounter {
  agent::OwnerRow mine;
  std::uint64_t counter = 0;
};
struct RaiseFloors {
  ClusterId cluster;
  agent::Floors floors;
};
struct DeleteMarkers {
  ClusterId cluster;
  agent::Floors floors;
  std::uint32_t limit = 0;
};
// Takes away what the last branch may have left; answered with Answer<bool>.
struct CleanUp {};

using Request =
    std::variant<RunBranch, RunStatement, PrepareOpen, RollBackOpen, ReleaseHeld, FinishPrepared, ReadMarkers,
                 MarkResolved, InsertBarrier, InsertRequestBarrier, ListPrepared, ListRoleSessions,
                 EndSession, ReadServer, ClaimOwner, RaiseCounter, RaiseFloors, DeleteMarkers, CleanUp>;

// Which one belongs to a request is what the method of its name returns.
using Reply =
    std::variant<agent::WorkResult, agent::Answer<void>, agent::Answer<bool>, agent::Answer<std::uint64_t>,
                 agent::Answer<std::vector<agent::MarkerRow>>, agent::Answer<agent::PreparedList>,
                 agent::Answer<std::vector<agent::RoleSession>>, agent::Answer<agent::ServerRow>>;

// A client's end of a session. Never used twice, unlike the server's own numbers.
using SessionHandle = Named<struct SessionHandleTag, std::uint64_t>;

struct Completion {
  SessionHandle session;
  Reply reply;
  agent::ConnectionCondition condition = agent::ConnectionCondition::kIdle;  // behind it
  Instant at;
};

}  // namespace troth::sim
