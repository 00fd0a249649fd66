#include "tests/sim/faults.h"

#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/nodes/crash_point_names.h"
#include "tests/sim/nodes/programs.h"
#include "tests/sim/simulation.h"

namespace troth::sim {

FaultStorm::FaultStorm(Simulation& simulation)
    : simulation_(simulation), schedule_(simulation.world().random(Purpose::kFaults).next()) {}

void FaultStorm::begin() {
  const auto& faults = simulation_.swarm().faults;
  if (!faults.empty()) strike_later();
  if (strikes_with(FaultKind::kSetBackAgent) || strikes_with(FaultKind::kSetBackCoordinator) ||
      strikes_with(FaultKind::kSetBackReplica) || strikes_with(FaultKind::kSetBackDatabase) ||
      strikes_with(FaultKind::kPromotedStandby))
    copy_later();
}

bool FaultStorm::strikes_with(FaultKind kind) const {
  return std::ranges::find(simulation_.swarm().faults, kind) != simulation_.swarm().faults.end();
}

void FaultStorm::copy_later() {
  auto& world = simulation_.world();
  const auto pause = world.draw(Purpose::kFaults, Duration(200'000), Duration(3'000'000));
  world.after(pause, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    if (strikes_with(FaultKind::kSetBackAgent)) {
      for (auto& each : simulation_.agents())
        copies_[each.get()].push_back(each->disk().image());
    }
    if (strikes_with(FaultKind::kSetBackCoordinator)) {
      for (auto& each : simulation_.coordinators())
        copies_[each.get()].push_back(each->disk().image());
    }
    if (const auto* group = simulation_.observer().group();
        group != nullptr && strikes_with(FaultKind::kSetBackReplica))
      replica_copies_.push_back({damaged().disk().image(), group->acceptances()});
    if (strikes_with(FaultKind::kSetBackDatabase) || strikes_with(FaultKind::kPromotedStandby)) {
      for (std::size_t i = 0; i < simulation_.databases().size(); ++i)
        database_copies_[i].push_back(simulation_.copy_database(i));
    }
    copy_later();
  });
}

void FaultStorm::strike_later() {
  const auto pause = draw(schedule_, Duration(10'000), simulation_.swarm().fault_pause);
  simulation_.world().after(pause, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) strike();
  });
}

void FaultStorm::strike() {
  auto& world = simulation_.world();
  const auto& faults = simulation_.swarm().faults;
  const auto kind = faults[schedule_.below(faults.size())];
  world.random(Purpose::kFaults) = Random(schedule_.next());
  strikes_.push_back(kind);
  strike_later();
  const auto number = static_cast<std::uint32_t>(strikes_.size());
  if (!simulation_.variation().has_strike(number)) return;
  world.trace().event(world.now(), "fault", name_of(kind), number,
                      [&] { return fmt::format("(strike {})", number); });
  world.count_fault(name_of(kind));
  strike_with(kind);
}

Machine& FaultStorm::agent() {
  auto& agents = simulation_.agents();
  return *agents[simulation_.world().random(Purpose::kFaults).below(agents.size())];
}

Machine& FaultStorm::server() {
  return simulation_.world().random(Purpose::kFaults).one_in(2) ? coordinator() : agent();
}

// Of a group its leader, mostly: there is the most to be lost.
Machine& FaultStorm::coordinator() {
  auto& coordinators = simulation_.coordinators();
  if (coordinators.size() == 1) return *coordinators.front();
  auto& random = simulation_.world().random(Purpose::kFaults);
  return random.one_in(2) ? simulation_.leader() : *coordinators[random.below(coordinators.size())];
}

bool FaultStorm::is_coordinator(const Machine& machine) const {
  return std::ranges::any_of(simulation_.coordinators(),
                             [&](const auto& each) { return each.get() == &machine; });
}

void FaultStorm::kill(Machine& machine, bool power_cut) {
  machine.crash(power_cut ? CrashKind::kPowerCut : CrashKind::kKilled);
}

void FaultStorm::strike_with(FaultKind kind) {
  auto& world = simulation_.world();
  auto& random = world.random(Purpose::kFaults);
  const auto crash_kind = [&] { return random.one_in(2) ? CrashKind::kKilled : CrashKind::kPowerCut; };
  auto& databases = simulation_.databases();
  switch (kind) {
    case FaultKind::kKillCoordinator: return kill(coordinator(), false);
    case FaultKind::kKillAgent: return kill(agent(), false);
    case FaultKind::kPowerCutCoordinator: return kill(coordinator(), true);
    case FaultKind::kPowerCutAgent: return kill(agent(), true);
    case FaultKind::kDieAtPoint: {
      auto& machine = server();
      // Those that are passed often, and those that hardly ever are.
      if (random.one_in(2))
        return machine.arm_any(1 + static_cast<std::uint32_t>(random.below(25)), crash_kind());
      const auto points = is_coordinator(machine) ? coordinator_crash_points() : agent_crash_points();
      machine.arm(points[random.below(points.size())], 1 + static_cast<std::uint32_t>(random.below(2)),
                  crash_kind());
      return;
    }
    case FaultKind::kDieInDiskChange: {
      auto& machine = server();
      machine.disk().die_at_change(1 + random.below(40), crash_kind());
      // Mostly where it is opened: there the most changes come one after the other.
      if (random.one_in(2)) kill(machine, random.one_in(2));
      return;
    }
    case FaultKind::kPause:
      return server().pause(world.draw(Purpose::kFaults, Duration(10'000), Duration(6'000'000)));
    case FaultKind::kPartition:
    case FaultKind::kOneWayPartition:
    case FaultKind::kBridge: return partition(kind);
    case FaultKind::kDatabaseCrash: {
      auto& database = *databases[random.below(databases.size())];
      database.crash();
      world.after(world.draw(Purpose::kFaults, Duration(20'000), Duration(3'000'000)),
                  [&database] { database.start(); });
      return;
    }
    case FaultKind::kDatabaseCut: return databases[random.below(databases.size())]->cut_all();
    case FaultKind::kSlowDatabase:
      return databases[random.below(databases.size())]->be_slow_until(
          world.now() + world.draw(Purpose::kFaults, Duration(100'000), Duration(5'000'000)));
    case FaultKind::kFailedSync: return server().disk().fail_next_sync();
    case FaultKind::kStalledDisk:
      return server().disk().stall_until(world.now() +
                                         world.draw(Purpose::kFaults, Duration(10'000), Duration(4'000'000)));
    case FaultKind::kFullDisk: {
      auto& disk = server().disk();
      disk.fill_up(true);
      world.after(world.draw(Purpose::kFaults, Duration(100'000), Duration(3'000'000)),
                  [&disk] { disk.fill_up(false); });
      return;
    }
    case FaultKind::kFlippedBit: {
      // An agent's: what a lone coordinator's disk loses of a decision, nobody else knows.
      auto& machine = agent();
      machine.crash(CrashKind::kKilled);
      if (!machine.is_up() && machine.disk().flip_bit_of_last_write("/journal")) {
        world.count_rare("a bit of a journal's last batch was flipped");
        simulation_.observer().happened(JournalDamaged{machine.name()});
      }
      return;
    }
    case FaultKind::kClockJump: return jump();
    case FaultKind::kAgentAway: {
      auto& machine = agent();
      machine.stay_away(world.now() + Duration(random.between(3'000'000, 12'000'000)));
      return kill(machine, random.one_in(2));
    }
    case FaultKind::kWipedAgent:
    case FaultKind::kSetBackAgent: return lose_disk(agent(), kind);
    case FaultKind::kSetBackDatabase: return restore(random.below(databases.size()), false);
    case FaultKind::kPromotedStandby: return restore(random.below(databases.size()), true);
    case FaultKind::kSetBackCoordinator: return set_back_coordinator();
    case FaultKind::kStopCoordinator: return coordinator().ask_to_stop();
    case FaultKind::kCutOffLeader:
    case FaultKind::kSplitGroup: return split_group(kind);
    case FaultKind::kRottenReplica: {
      auto& machine = damaged();
      machine.crash(CrashKind::kKilled);
      if (!machine.is_up() && machine.disk().flip_bit_of_last_write(kGroupLog))
        world.count_rare("a bit of a replica's last batch was flipped");
      return;
    }
    case FaultKind::kSetBackReplica: return set_back_replica();
    case FaultKind::kLostReplica: return lose_replica();
    case FaultKind::kFrozenLeader:
      // About as long as others wait for it, and longer.
      return simulation_.leader().pause(world.draw(Purpose::kFaults, Duration(100'000), Duration(2'500'000)));
    case FaultKind::kKillClient: {
      auto& clients = simulation_.clients();
      return kill(*clients[random.below(clients.size())], false);
    }
  }
}

// By seconds mostly; now and then further than a request_id may be ahead.
void FaultStorm::jump() {
  auto& world = simulation_.world();
  auto& random = world.random(Purpose::kFaults);
  auto& clients = simulation_.clients();
  Machine& machine = random.one_in(2) ? *clients[random.below(clients.size())] : server();
  const std::int64_t most = random.one_in(4) ? 400'000'000 : 5'000'000;
  const auto by = Duration(random.between(-most, most));
  machine.set_wall(by);
  world.count_rare(by > Duration::zero() ? "a wall clock jumped forwards" : "a wall clock jumped back");
}

void FaultStorm::lose_disk(Machine& machine, FaultKind kind) {
  auto& world = simulation_.world();
  if (kind == FaultKind::kSetBackAgent && copies_[&machine].empty()) return;
  machine.crash(CrashKind::kPowerCut);
  if (kind == FaultKind::kWipedAgent) {
    machine.disk().wipe();
    copies_.erase(&machine);  // of the agent that was; `init` makes another
    world.count_rare("an agent came back with an empty disk");
  } else {
    const auto& copies = copies_[&machine];
    machine.disk().set_back(copies[world.random(Purpose::kFaults).below(copies.size())]);
    world.count_rare("an agent came back with an older disk");
  }
  simulation_.observer().happened(JournalDamaged{machine.name()});
}

// What docs/tool.md asks for is done behind every restore: a new reign, before the first start.
void FaultStorm::set_back_coordinator() {
  auto& machine = *simulation_.coordinators().front();
  const auto& copies = copies_[&machine];
  if (copies.empty()) return;
  machine.crash(CrashKind::kPowerCut);
  machine.disk().set_back(copies[simulation_.world().random(Purpose::kFaults).below(copies.size())]);
  simulation_.world().count_rare("the coordinator came back with an older disk");
  simulation_.restore_coordinator();
}

Machine& FaultStorm::damaged() {
  return *simulation_.coordinators()[simulation_.swarm().damaged - 1];
}

// It need not be found out (consensus/standing.h) where nobody but itself knows what it had accepted: then nothing may hang on
// that.
void FaultStorm::set_back_replica() {
  auto& world = simulation_.world();
  auto& random = world.random(Purpose::kFaults);
  auto& machine = damaged();
  const auto* group = simulation_.observer().group();
  if (group == nullptr || replica_copies_.empty()) return;
  const auto& copy = replica_copies_[random.below(replica_copies_.size())];
  const bool is_wiped = random.one_in(4);
  const auto since = is_wiped ? 0 : copy.acceptances;
  if (group->hangs_on({simulation_.swarm().damaged}, since)) return;
  machine.crash(CrashKind::kPowerCut);
  if (is_wiped)
    machine.disk().wipe();
  else
    machine.disk().set_back(copy.disk);
  simulation_.observer().replica_set_back(machine, since);
  world.count_rare(is_wiped ? "a replica came back with an empty disk"
                            : "a replica came back with an older disk");
}

// Where the others can do without it, also while a last batch of theirs is torn (consensus/standing.h): one of three may not go.
void FaultStorm::lose_replica() {
  auto& machine = damaged();
  const auto* group = simulation_.observer().group();
  if (group == nullptr || machine.is_lost() || simulation_.swarm().coordinators < 3 ||
      simulation_.swarm().spares == 0)
    return;
  const coordinator::consensus::ReplicaId replica{simulation_.swarm().damaged};
  const auto is_missed = [&](coordinator::consensus::Slot slot) {
    const auto& voters = group->configuration(slot).voters;
    return voters.contains(replica) && voters.size() < 4;
  };
  if (is_missed({group->applied().value + 1}) || is_missed({UINT64_MAX})) return;
  machine.lose();
  machine.crash(CrashKind::kPowerCut);
  simulation_.world().count_rare("a replica was lost for good");
}

// A standby has come nearly as far; what somebody restores is older than some raises of the owner row's counter, which is
// how a server that was set back is known (attack 46).
void FaultStorm::restore(std::size_t database, bool promoted) {
  constexpr std::uint64_t kRaises = 4;
  auto& world = simulation_.world();
  const auto& copies = database_copies_[database];
  if (copies.empty()) return;
  const auto& copy = promoted ? copies.back() : copies[world.random(Purpose::kFaults).below(copies.size())];
  const auto owner = simulation_.databases()[database]->server().owner();
  if (!promoted && copy.server.owner.counter + kRaises > owner.counter) return;
  simulation_.restore_database(database, copy, promoted);
  world.count_rare(promoted ? "a standby was promoted" : "a database came back as it was earlier");
  world.after(world.draw(Purpose::kFaults, Duration(20'000), Duration(3'000'000)),
              [&each = *simulation_.databases()[database]] { each.start(); });
}

void FaultStorm::partition(FaultKind kind) {
  auto& world = simulation_.world();
  auto& random = world.random(Purpose::kFaults);
  auto& network = simulation_.network();
  std::vector<Node*> all;
  for (auto& coordinator : simulation_.coordinators())
    all.push_back(coordinator.get());
  for (auto& agent : simulation_.agents())
    all.push_back(agent.get());
  for (auto& client : simulation_.clients())
    all.push_back(client.get());
  for (auto& database : simulation_.databases())
    all.push_back(&database->node());
  const auto cut = [&](Node& from, Node& to, bool both) {
    network.block(from, to);
    if (both) network.block(to, from);
  };
  auto& one = *all[random.below(all.size())];
  auto& other = *all[random.below(all.size())];
  switch (kind) {
    case FaultKind::kOneWayPartition: cut(one, other, false); break;
    case FaultKind::kBridge:
      // Two halves that only one machine reaches.
      for (std::size_t left = 0; left < all.size(); ++left)
        for (std::size_t right = left + 1; right < all.size(); ++right)
          if (all[left] != &one && all[right] != &one && random.one_in(2)) cut(*all[left], *all[right], true);
      break;
    default:
      for (auto* each : all)
        if (each != &one && (random.one_in(2) || each == &other)) cut(one, *each, true);
  }
  world.after(world.draw(Purpose::kFaults, Duration(50'000), Duration(5'000'000)),
              [&network] { network.heal(); });
}

// Coordinators among themselves; services and agents reach them all.
void FaultStorm::split_group(FaultKind kind) {
  auto& world = simulation_.world();
  auto& random = world.random(Purpose::kFaults);
  auto& network = simulation_.network();
  auto& coordinators = simulation_.coordinators();
  const bool both = !random.one_in(3);
  const bool outwards = random.one_in(2);
  for (auto& one : coordinators) {
    for (auto& other : coordinators) {
      if (one == other) continue;
      const bool is_cut = kind == FaultKind::kCutOffLeader ? one.get() == &simulation_.leader()
                                                           : one->name() < other->name() && random.one_in(2);
      if (!is_cut) continue;
      if (both || outwards) network.block(*one, *other);
      if (both || !outwards) network.block(*other, *one);
    }
  }
  world.after(world.draw(Purpose::kFaults, Duration(50'000), Duration(5'000'000)),
              [&network] { network.heal(); });
}

}  // namespace troth::sim
