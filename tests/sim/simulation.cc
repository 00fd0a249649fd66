#include "tests/sim/simulation.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/sim/bank/client.h"
#include "tests/sim/faults.h"
#include "tests/sim/invariants/invariants.h"
#include "tests/sim/nodes/programs.h"
#include "tests/sim/operator/group_operator.h"
#include "tests/sim/operator/new_reign.h"
#include "tests/sim/operator/operator.h"

namespace troth::sim {
namespace {

constexpr Duration kLiveness = std::chrono::minutes(10);
// Ends and their records, lazily written, told with heartbeats; and what is sent again at the longest back-off.
constexpr std::array<Duration, 3> kAfterwards{std::chrono::seconds(4), std::chrono::seconds(20),
                                              std::chrono::seconds(150)};
constexpr Duration kLook = std::chrono::milliseconds(250);
constexpr const char* kCluster = "bank-sim001";

std::string coordinator_address(std::uint32_t number) {
  return fmt::format("10.0.0.{}:7710", number + 1);
}

std::string peer_address(std::uint32_t number) {
  return fmt::format("10.0.0.{}:7711", number + 1);
}

std::string agent_address(std::uint32_t number) {
  return fmt::format("10.0.1.{}:7720", number + 1);
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, Variation variation, std::function<void(std::string_view)> print)
    : world_(seed, Trace(std::move(print))),
      network_(world_),
      variation_(std::move(variation)),
      swarm_(varied(draw_swarm(world_.random(Purpose::kSwarm)), variation_)) {
  build();
  watch();
}

Simulation::~Simulation() {
  // Programs first, then what they left behind: it speaks of the rest.
  for (auto& client : clients_)
    client->end();
  operator_->end();
  if (group_operator_) group_operator_->end();
  for (auto& agent : agents_)
    agent->end();
  for (auto& coordinator : coordinators_)
    coordinator->end();
  world_.end();
}

std::unique_ptr<Machine> Simulation::machine(std::string name, Node::Boot boot) {
  auto& random = world_.random(Purpose::kClock);
  const NodeClock clock(random.between(-swarm_.drift_ppm, swarm_.drift_ppm),
                        Duration(random.between(1'000'000, 90'000'000)),
                        Duration(random.between(-2'000'000, 2'000'000)));
  auto made = std::make_unique<Machine>(world_, network_, std::move(name), clock, std::move(boot));
  auto* node = made.get();
  node->on_down = [this, node] {
    for (auto& database : databases_)
      database->wake();
    // Somebody, or a supervisor, starts it again.
    const auto drawn =
        world_.draw(Purpose::kFaults, Duration(5'000), healed_ ? Duration(100'000) : Duration(3'000'000));
    world_.after(std::max(drawn, node->away_until() - world_.now()), [node] {
      if (!node->is_up() && !node->is_lost()) node->boot();
    });
  };
  return made;
}

coordinator::CoordinatorSettings Simulation::coordinator_settings() const {
  coordinator::CoordinatorSettings settings;
  settings.segment_bytes = swarm_.small_segments ? 16UL << 10 : 64UL << 10;
  settings.log_bytes = 2 * settings.segment_bytes;
  settings.group.batch = {.bytes = 8000, .request_bytes = 8000};  // what the smaller segments take
  settings.heartbeat_interval = std::chrono::milliseconds(500);
  settings.agent_call_timeout = std::chrono::milliseconds(2'000);
  settings.table.default_timeout = std::chrono::seconds(3);
  if (swarm_.short_retention) {
    settings.table.retention = swarm_.retention;
    settings.table.least_age = std::min<Duration>(swarm_.retention, std::chrono::seconds(2));
  }
  for (std::uint32_t i = 0; i < replicas(); ++i)
    settings.group.replicas.push_back({i + 1, coordinator_address(i), peer_address(i)});
  for (std::uint32_t i = 0; i < swarm_.coordinators; ++i)
    settings.group.founders += fmt::format("{}{}", i == 0 ? "" : ", ", i + 1);
  return settings;
}

std::uint32_t Simulation::replicas() const {
  return swarm_.coordinators == 0 ? 0 : swarm_.coordinators + swarm_.spares;
}

void Simulation::build_coordinators() {
  CoordinatorPlan plan;
  plan.cluster = ClusterId{kCluster};
  plan.settings = coordinator_settings();
  for (std::uint32_t i = 0; i < replicas(); ++i) {
    plan.address = coordinator_address(i);
    plan.settings.group.replica = i + 1;
    coordinators_.push_back(machine(fmt::format("co{}", i + 1), coordinator_program(plan)));
  }
  if (swarm_.coordinators > 0) return;
  plan.address = coordinator_address(0);
  NewReign restored;
  restored.cluster = plan.cluster;
  for (std::uint32_t i = 0; i < swarm_.agents; ++i)
    restored.agents.push_back(agent_address(i));
  restored.segment_bytes = plan.settings.segment_bytes;
  restored.stands_committed = [this](const TransactionId& id) {
    return !observer_->evidence().truth(id).committed.empty();
  };
  restored.ends = [this](const BranchId& branch) { observer_->happened(EndedByHand{branch}); };
  restored.done = [this] { needs_new_reign_ = false; };
  coordinators_.push_back(machine(
      "co", [this, serve = coordinator_program(plan), restore = new_reign_program(std::move(restored))](
                Node& node) { return needs_new_reign_ ? restore(node) : serve(node); }));
}

std::vector<std::string> Simulation::coordinator_addresses() const {
  std::vector<std::string> addresses;
  for (std::uint32_t i = 0; i < coordinators_.size(); ++i)
    addresses.push_back(coordinator_address(i));
  return addresses;
}

Machine& Simulation::leader() {
  const auto* group = observer_->group();
  const auto leader = group == nullptr ? std::nullopt : group->leader();
  return *coordinators_[leader ? leader->value - 1 : 0];
}

void Simulation::build() {
  const ClusterId cluster{kCluster};
  for (std::size_t i = 0; i < swarm_.databases.size(); ++i) {
    ModelOptions options;
    options.kind = swarm_.databases[i];
    options.server = fmt::format("server-{}", i + 1);
    for (std::int64_t account = 1; account <= swarm_.accounts; ++account) {
      options.accounts[account] = swarm_.balance;
      ledger_.beginning[{i, account}] = swarm_.balance;
    }
    databases_.push_back(
        std::make_unique<Database>(world_, network_, fmt::format("db{}", i + 1), std::move(options)));
  }

  build_coordinators();
  const auto resource_name = [](std::size_t database) { return fmt::format("r{}", database + 1); };
  for (std::uint32_t i = 0; i < swarm_.agents; ++i) {
    AgentPlan agent;
    agent.cluster = cluster;
    agent.agent = AgentId{fmt::format("ag{}", i + 1)};
    agent.address = agent_address(i);
    agent.settings.coordinators = coordinator_addresses();
    agent.settings.segment_bytes = swarm_.small_segments ? 16UL << 10 : 64UL << 10;
    agent.settings.journal_bytes = 2 * agent.settings.segment_bytes;
    agent.settings.first_inquiry = std::chrono::milliseconds(500);
    agent.settings.longest_inquiry = std::chrono::milliseconds(4'000);
    if (swarm_.short_retention) agent.settings.floor_interval = std::chrono::milliseconds(1'000);
    agent.settings.list_interval = std::chrono::milliseconds(5'000);
    for (std::size_t database = 0; database < databases_.size(); ++database) {
      if (swarm_.agents == 2 && database != i) continue;
      agent::ResourceSettings resource;
      resource.name = resource_name(database);
      resource.kind = swarm_.databases[database];
      resource.sessions = 4;
      resource.lock_timeout = std::chrono::milliseconds(1'000);
      agent.settings.resources.push_back(std::move(resource));
      agent.databases.push_back(databases_[database].get());
    }
    agents_.push_back(machine(agent.agent.value, agent_program(agent)));
  }

  for (std::uint32_t i = 0; i < swarm_.clients; ++i) {
    ClientPlan client;
    client.name = fmt::format("cl{}", i + 1);
    client.coordinators = coordinator_addresses();
    for (std::size_t database = 0; database < databases_.size(); ++database)
      client.resources.push_back({resource_name(database), swarm_.databases[database], swarm_.accounts});
    client.transfers = swarm_.transfers;
    client.pause = swarm_.pause;
    client.one_phase = swarm_.one_phase;
    client.interactive = swarm_.interactive;
    client.decided = swarm_.decided;
    client.bars = swarm_.bars;
    client.impatient = swarm_.impatient;
    client.repeats = swarm_.repeats;
    client.audits = swarm_.audits;
    auto name = client.name;
    clients_.push_back(machine(std::move(name), client_program(std::move(client), ledger_)));
  }
  hire_operator();
  if (replicas() > swarm_.coordinators) hire_group_operator();
}

void Simulation::hire_operator() {
  OperatorPlan plan;
  plan.coordinators = coordinator_addresses();
  for (std::uint32_t i = 0; i < swarm_.agents; ++i)
    plan.agents.push_back(agent_address(i));
  plan.mistakes = swarm_.mistakes;
  plan.was_committed = [this](const TransactionId& id) {
    return observer_->evidence().truth(id).is_committed();
  };
  operator_ = machine("op", operator_program(std::move(plan)));
}

void Simulation::hire_group_operator() {
  GroupOperatorPlan plan;
  plan.coordinators = coordinator_addresses();
  plan.pause = swarm_.change_pause;
  plan.least = swarm_.coordinators < 3 ? 1 : 3;
  plan.doubtful = swarm_.damaged;
  plan.may_lose = std::ranges::find(swarm_.faults, FaultKind::kLostReplica) != swarm_.faults.end();
  plan.is_over = [this] { return healed_; };
  plan.is_lost = [this](std::uint32_t replica) { return coordinators_[replica - 1]->is_lost(); };
  group_operator_ = machine("gop", group_operator_program(std::move(plan)));
}

// Every step is judged as it is made; the first that breaks something ends the run.
void Simulation::watch() {
  std::vector<const Node*> coordinators;
  for (const auto& each : coordinators_)
    coordinators.push_back(each.get());
  std::optional<coordinator::consensus::Configuration> group;
  if (swarm_.coordinators > 0) group = coordinator_settings().group.beginning();
  observer_ = std::make_unique<Observer>(
      std::move(coordinators), std::move(group), ledger_,
      [this](const Broken& broken) {
        world_.trace().event(world_.now(), "BROKEN", "here", 0, [&] { return broken.front(); });
        world_.stop();
      },
      [this](std::string_view situation) { world_.count_rare(situation); });
  world_.set_witness(observer_.get());
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    databases_[i]->on_request = [this, i](const Request& request) {
      if (std::holds_alternative<InsertBarrier>(request) ||
          std::holds_alternative<InsertRequestBarrier>(request))
        observer_->happened(BarrierAsked{{i}});
      if (const auto* run = std::get_if<RunBranch>(&request);
          run != nullptr && run->work.ending == agent::BranchEnding::kCommitOnePhase)
        observer_->happened(OnePhaseRuns{run->work.start.id, {i}});
    };
    databases_[i]->on_marker = [this, i](const std::string& key, const agent::MarkerRow* row) {
      if (row != nullptr)
        observer_->happened(MarkerStands{{i}, key, *row});
      else
        observer_->happened(MarkerGone{{i}, key, databases_[i]->server().floors({kCluster}).position});
    };
  }
  const auto id_of = [](const std::string& text) {
    auto id = TransactionId::parse(text);
    CHECK(id.has_value(), "a client was told of {}", text);
    return *std::move(id);
  };
  ledger_.on_committed = [this, id_of](const RequestKey& key, const std::string& transaction) {
    observer_->happened(ToldCommitted{key, id_of(transaction)});
  };
  ledger_.on_not_committed = [this, id_of](const RequestKey& key, const std::string& transaction) {
    observer_->happened(ToldNotCommitted{key, id_of(transaction)});
  };
  ledger_.on_applied = [this, id_of](const RequestKey& key, const std::string& transaction) {
    observer_->happened(ToldApplied{key, id_of(transaction)});
  };
  ledger_.on_nothing_stands = [this](const RequestKey& key) { observer_->happened(ToldNothingStands{key}); };
  ledger_.on_barred = [this](const RequestKey& key) { observer_->happened(ToldBarred{key}); };
}

void Simulation::heal() {
  healed_ = true;
  world_.trace().event(world_.now(), "world", "heals");
  network_.set_faults({});
  network_.heal();
  for (auto& database : databases_) {
    database->set_breaks(0);
    database->be_slow_until({});
    database->start();
  }
  const auto mend = [](Machine& machine) {
    machine.disarm();
    machine.disk().heal();
    machine.stay_away({});
    machine.set_wall(Duration::zero());
    if (!machine.is_up() && !machine.is_lost()) machine.boot();
  };
  for (auto& coordinator : coordinators_)
    mend(*coordinator);
  for (auto& agent : agents_)
    mend(*agent);
  for (auto& client : clients_)
    mend(*client);
  mend(*operator_);
  if (group_operator_) mend(*group_operator_);
}

bool Simulation::clients_are_done() const {
  return ledger_.all_over() && ledger_.transfers().size() >= std::size_t{swarm_.clients} * swarm_.transfers;
}

bool Simulation::is_quiet() const {
  return clients_are_done() &&
         std::ranges::all_of(databases_, [](const auto& each) { return each->server().prepared().empty(); });
}

// Markers go after the retention: what they said is kept here.
void Simulation::observe() {
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    for (const auto& marker : databases_[i]->server().markers())
      if ((marker.state == agent::MarkerState::kCommitted || marker.state == agent::MarkerState::kResolved) &&
          marker.request)
        committed_[*marker.request][marker.transaction].insert(i);
  }
}

DatabaseCopy Simulation::copy_database(std::size_t database) {
  observe();
  DatabaseCopy copy{databases_[database]->copy(), {}, databases_[database]->server().prepared()};
  for (const auto& [request, by] : committed_)
    for (const auto& [transaction, where] : by)
      if (where.contains(database)) copy.committed.emplace(request, transaction);
  return copy;
}

void Simulation::restore_database(std::size_t database, const DatabaseCopy& copy, bool promoted) {
  databases_[database]->restore(copy.server, promoted);
  for (auto& [request, by] : committed_) {
    for (auto& [transaction, where] : by)
      where.erase(database);
    std::erase_if(by, [](const auto& each) { return each.second.empty(); });
  }
  std::erase_if(committed_, [](const auto& each) { return each.second.empty(); });
  DatabaseSetBack set_back{{database}, {}, {}};
  for (const auto& [request, transaction] : copy.committed) {
    committed_[request][transaction].insert(database);
    if (auto id = TransactionId::parse(transaction)) set_back.committed.insert(*std::move(id));
  }
  for (const auto& branch : copy.prepared)
    set_back.prepared.insert(branch.transaction);
  observer_->happened(set_back);
}

void Simulation::restore_coordinator() {
  needs_new_reign_ = true;
  observer_->happened(StoreSetBack{});
}

void Simulation::observe_later() {
  world_.after(std::chrono::seconds(1), [this] {
    observe();
    observe_later();
  });
}

RunEnd Simulation::run_end() const {
  RunEnd end{ledger_, observer_->evidence(), committed_, {}, swarm_.short_retention};
  for (const auto& database : databases_)
    end.databases.push_back({database->name(), database->server().accounts(), database->server().prepared()});
  return end;
}

Outcome Simulation::run() {
  if (swarm_.short_retention) observe_later();
  for (auto& agent : agents_)
    agent->boot();
  for (auto& coordinator : coordinators_)
    coordinator->boot();
  for (auto& client : clients_)
    client->boot();
  operator_->boot();
  if (group_operator_) group_operator_->boot();
  // The cluster is in order before anything goes wrong.
  world_.run_until(std::chrono::seconds(2));
  network_.set_faults(swarm_.network);
  for (auto& database : databases_)
    database->set_breaks(swarm_.database_breaks);
  Outcome outcome;
  {
    FaultStorm storm(*this);
    storm.begin();
    world_.run_until(world_.now() + swarm_.safety);
    storm.end();
    for (const auto kind : storm.strikes())
      outcome.strikes.emplace_back(name_of(kind));
  }
  heal();
  const auto give_up = world_.now() + kLiveness;
  while (!is_quiet() && !world_.is_stopped() && world_.now() < give_up)
    world_.run_until(world_.now() + kLook);

  // What nobody waits for comes to its end, too.
  const bool ended = is_quiet();
  for (const auto wait : kAfterwards) {
    if (ended) world_.run_until(world_.now() + wait);
    Broken open;
    observe();
    check_logs(*this, open);
    if (!ended || open.empty()) break;
  }
  observe();
  outcome.broken = observer_->broken();
  if (world_.is_stopped()) return summed_up(std::move(outcome));
  for (auto& broken : broken_invariants(*this, ended))
    outcome.broken.push_back(std::move(broken));
  if (!is_quiet()) outcome.broken.push_back(what_is_left(run_end()));
  return summed_up(std::move(outcome));
}

Outcome Simulation::summed_up(Outcome outcome) const {
  outcome.seed = world_.seed();
  outcome.hash = world_.trace().hash();
  outcome.events = world_.trace().events();
  outcome.virtual_time = world_.now();
  outcome.transfers = ledger_.transfers().size();
  outcome.committed = committed_transfers(*this);
  outcome.faults = world_.faults();
  outcome.rare = world_.rare();
  return outcome;
}

}  // namespace troth::sim
