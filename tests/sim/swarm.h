// tests/sim/swarm.h
//
// What one seed is made of: how large it is, and which faults strike how often. Each seed leaves most faults out, so that
// the others are met in every mixture (Groce et al., "Swarm Testing", 2012).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "participant_agent/dialect/database_kind.h"
#include "tests/sim/network/network.h"

namespace troth::sim {

enum class FaultKind : std::uint8_t {
  kKillCoordinator,
  kKillAgent,
  kPowerCutCoordinator,
  kPowerCutAgent,
  kDieAtPoint,
  kDieInDiskChange,
  kPause,
  kPartition,
  kOneWayPartition,
  kBridge,
  kDatabaseCrash,
  kDatabaseCut,
  kSlowDatabase,
  kFailedSync,
  kStalledDisk,
  kFullDisk,
  kFlippedBit,
  kKillClient,
  kClockJump,
  kAgentAway,
  kWipedAgent,
  kSetBackAgent,
  kSetBackDatabase,
  kPromotedStandby,
  kSetBackCoordinator,
  // Of a group.
  kStopCoordinator,
  kCutOffLeader,
  kSplitGroup,
  kFrozenLeader,
  // Of one replica, always the same.
  kRottenReplica,
  kSetBackReplica,
  // Of the same, where there are others to take its place.
  kLostReplica,
};
inline constexpr std::size_t kFaultKinds = 25;      // that strike any cluster
inline constexpr std::size_t kGroupFaultKinds = 6;  // and a group besides
[[nodiscard]] std::string_view name_of(FaultKind kind);
[[nodiscard]] bool needs_operator(FaultKind kind);

struct Swarm {
  std::uint32_t coordinators = 0;  // of a group; 0: one, with a store of its own
  std::uint32_t damaged = 0;       // of them: whose disk may be damaged; 0: nobody's
  std::uint32_t spares = 0;        // besides: members once they are made so; 0: the members do not change
  std::uint32_t agents = 1;
  std::vector<agent::DatabaseKind> databases;
  std::uint32_t clients = 1;
  std::uint32_t transfers = 0;  // of each client
  std::int64_t accounts = 0;    // in each database
  std::int64_t balance = 0;     // of each account
  Duration pause{};             // between two transfers, at most
  std::uint32_t one_phase = 0;
  std::uint32_t interactive = 0;
  std::uint32_t decided = 0;
  std::uint32_t bars = 0;
  std::uint32_t impatient = 0;
  std::uint32_t repeats = 0;
  std::uint32_t audits = 0;
  bool small_segments = false;
  bool short_retention = false;
  Duration retention = std::chrono::seconds(6);  // where it is short
  std::int64_t drift_ppm = 0;  // at most, either way; beyond any clock that is in order, too

  NetworkFaults network;
  std::uint32_t database_breaks = 0;
  std::vector<FaultKind> faults;  // that strike; empty: none
  Duration fault_pause{};         // between two, at most
  std::uint32_t mistakes = 0;     // of an operator's resolutions
  Duration change_pause{};        // between two changes of the group, at most
  Duration safety{};              // how long they do
};

[[nodiscard]] Swarm draw_swarm(Random& random);

}  // namespace troth::sim
