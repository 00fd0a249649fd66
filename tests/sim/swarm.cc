#include "tests/sim/swarm.h"

namespace troth::sim {

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKillCoordinator: return "coordinator killed";
    case FaultKind::kKillAgent: return "agent killed";
    case FaultKind::kPowerCutCoordinator: return "power cut of the coordinator";
    case FaultKind::kPowerCutAgent: return "power cut of an agent";
    case FaultKind::kDieAtPoint: return "crash point armed";
    case FaultKind::kDieInDiskChange: return "death in a disk change armed";
    case FaultKind::kPause: return "pause";
    case FaultKind::kPartition: return "partition";
    case FaultKind::kOneWayPartition: return "one-way partition";
    case FaultKind::kBridge: return "bridge";
    case FaultKind::kDatabaseCrash: return "database crash";
    case FaultKind::kDatabaseCut: return "database cut off";
    case FaultKind::kSlowDatabase: return "slow database";
    case FaultKind::kFailedSync: return "failed sync armed";
    case FaultKind::kStalledDisk: return "stalled disk";
    case FaultKind::kFullDisk: return "full disk";
    case FaultKind::kFlippedBit: return "flipped bit";
    case FaultKind::kKillClient: return "client killed";
    case FaultKind::kClockJump: return "wall clock jumps";
    case FaultKind::kAgentAway: return "agent away for long";
    case FaultKind::kWipedAgent: return "agent's disk wiped";
    case FaultKind::kSetBackAgent: return "agent's disk set back";
    case FaultKind::kSetBackDatabase: return "database set back";
    case FaultKind::kPromotedStandby: return "standby promoted";
    case FaultKind::kSetBackCoordinator: return "coordinator's disk set back";
    case FaultKind::kStopCoordinator: return "coordinator stopped in good order";
    case FaultKind::kCutOffLeader: return "leader cut off from its group";
    case FaultKind::kSplitGroup: return "group split";
    case FaultKind::kFrozenLeader: return "leader frozen";
    case FaultKind::kRottenReplica: return "replica's last batch rots";
    case FaultKind::kSetBackReplica: return "replica's disk set back";
    case FaultKind::kLostReplica: return "replica lost for good";
  }
  return {};
}

// Nothing goes on in what it strikes before a hand has mended it: most seeds do without.
bool needs_operator(FaultKind kind) {
  return kind >= FaultKind::kWipedAgent && kind <= FaultKind::kSetBackCoordinator;
}

namespace {

Swarm draw_cluster(Random& random) {
  using agent::DatabaseKind;
  constexpr std::array kKinds{DatabaseKind::kPostgres, DatabaseKind::kMysql, DatabaseKind::kMariadb};
  Swarm swarm;
  swarm.agents = 1 + static_cast<std::uint32_t>(random.below(2));
  for (std::size_t i = 0; i < 2; ++i)
    swarm.databases.push_back(kKinds[random.below(kKinds.size())]);
  swarm.clients = 1 + static_cast<std::uint32_t>(random.below(3));
  swarm.transfers = 3 + static_cast<std::uint32_t>(random.below(10));
  swarm.accounts = random.between(2, 6);
  swarm.balance = random.between(50, 500);
  swarm.one_phase = random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(8'000));
  swarm.interactive = random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(8'000));
  swarm.decided = static_cast<std::uint32_t>(random.below(5'000));
  swarm.bars = random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(6'000));
  swarm.small_segments = random.one_in(2);
  swarm.short_retention = random.one_in(3);
  swarm.drift_ppm = random.one_in(2) ? 0 : random.between(0, 500);
  if (random.one_in(8)) swarm.drift_ppm = random.between(500, 100'000);
  swarm.safety = Duration(random.between(1'000'000, 12'000'000));
  // So that there is work under way while faults strike; and, now and then, much at once.
  swarm.pause = random.one_in(5) ? Duration(random.between(0, 20'000)) : 3 * swarm.safety / swarm.transfers;
  swarm.fault_pause = Duration(random.between(100'000, 2'500'000));
  if (random.one_in(16)) return swarm;  // a calm day
  const auto rate = [&](std::uint64_t most) {
    return random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(most));
  };
  swarm.network.lost = rate(800);
  swarm.network.doubled = rate(800);
  swarm.network.late = rate(800);
  swarm.network.reset = rate(200);
  swarm.database_breaks = rate(400);
  swarm.mistakes = random.one_in(4) ? 3'000 : 0;
  for (std::size_t each = 0; each < kFaultKinds; ++each) {
    const auto kind = static_cast<FaultKind>(each);
    if (random.one_in(needs_operator(kind) ? 12 : 3)) swarm.faults.push_back(kind);
  }
  swarm.network.full = rate(1'000);
  swarm.impatient = rate(3'000);
  swarm.repeats = rate(5'000);
  swarm.audits = rate(5'000);
  swarm.retention = Duration(random.between(1'000, 6'000) * 1'000);
  return swarm;
}

// What a group's own faults are drawn from is apart from the rest: the same seed is the same cluster around it.
void draw_group(Swarm& swarm, Random random) {
  if (random.one_in(2)) return;
  constexpr std::array<std::uint32_t, 8> kSizes{1, 3, 3, 3, 3, 3, 3, 5};
  swarm.coordinators = kSizes[random.below(kSizes.size())];
  // What a lone disk has lost, nobody of its group knows; and nobody can begin a new reign of a group.
  if (swarm.faults.empty()) return;
  std::erase(swarm.faults, FaultKind::kSetBackCoordinator);
  for (std::size_t each = 0; each < kGroupFaultKinds; ++each)
    if (random.one_in(3)) swarm.faults.push_back(static_cast<FaultKind>(kFaultKinds + each));
  // A group stands one such replica, as long as the others are in order.
  swarm.damaged = 1 + static_cast<std::uint32_t>(random.below(swarm.coordinators));
  if (swarm.coordinators > 1) return;
  std::erase(swarm.faults, FaultKind::kRottenReplica);
  std::erase(swarm.faults, FaultKind::kSetBackReplica);
}

// Behind everything else: the same seed is the same run where its members do not change.
void draw_changes(Swarm& swarm, Random random) {
  if (swarm.coordinators == 0 || random.one_in(2)) return;
  swarm.spares = 1 + static_cast<std::uint32_t>(random.below(2));
  swarm.change_pause = Duration(random.between(100'000, 3'000'000));
  if (swarm.faults.empty() || swarm.coordinators < 3 || !random.one_in(3)) return;
  swarm.faults.push_back(FaultKind::kLostReplica);
}

}  // namespace

Swarm draw_swarm(Random& random) {
  auto swarm = draw_cluster(random);
  draw_group(swarm, Random(random.next()));
  draw_changes(swarm, Random(random.next()));
  return swarm;
}

}  // namespace troth::sim
