#include <fmt/format.h>

#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/local_engine.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "coordinator/decision_store/runtime/snapshot_directory.h"
#include "coordinator/decision_store/runtime/snapshot_file.h"
#include "participant_agent/journal_replay.h"
#include "participant_agent/runtime/journal_codec.h"
#include "tests/sim/invariants/invariants.h"
#include "tests/sim/nodes/programs.h"
#include "tests/sim/simulation.h"
#include "txlog/runtime/inspect.h"

namespace troth::sim {
namespace {

using Take = std::function<Status(const txlog::RecordView&)>;

// What a start would replay of it; an error: that is not to be read.
Status replay(Disk& disk, const std::string& directory, const Take& take) {
  bool is_live = false;
  bool is_superseded = false;
  Status taken;
  const auto report = txlog::dump(
      directory,
      [&](const txlog::DumpLine& line) {
        if (const auto* segment = std::get_if<txlog::SegmentLine>(&line))
          is_live = segment->state == txlog::SegmentLine::State::kLive;
        if (const auto* batch = std::get_if<txlog::BatchLine>(&line)) is_superseded = batch->superseded;
        const auto* record = std::get_if<txlog::RecordLine>(&line);
        if (record == nullptr || !is_live || is_superseded || !record->checksum_holds || !taken) return;
        taken = take({{record->sequence, record->segment}, record->type, record->payload});
      },
      &disk);
  if (!report) return std::unexpected(report.error());
  if (const auto* refusal = std::get_if<txlog::Refusal>(&report->verdict))
    return fail(ErrorCode::kCorrupt, Effect::kNone, refusal->what);
  return taken;
}

void check_store(Simulation& simulation, Broken& broken) {
  coordinator::store::LocalEngine engine;
  coordinator::store::WriteNumber next{1};
  auto& disk = simulation.coordinators().front()->disk();
  auto read = replay(disk, kLocalLog, [&](const txlog::RecordView& view) -> Status {
    auto record = coordinator::store::decode(view.type, view.payload);
    if (!record) return std::unexpected(record.error());
    next = {view.position.sequence.value + 1};
    return engine.restore(*record, {view.position.sequence.value});
  });
  if (read) read = engine.opened(next);
  if (!read) return broken.push_back(fmt::format("store: it cannot be read: {}", read.error().message));
  if (const auto open = engine.records().counts().open; open > 0)
    broken.push_back(fmt::format("T6: {} decisions are still open in the store", open));
}

// What a start of this replica would begin with: its snapshot, and its log.
void check_replica(Machine& machine, const GroupMemory& group, Broken& broken) {
  using namespace coordinator;
  const auto complain = [&](const std::string& why) {
    broken.push_back(fmt::format("store of {}: {}", machine.name(), why));
  };
  const store::SnapshotDirectory directory(machine.disk(), std::string(kGroupLog) + "-snapshots");
  const auto newest = directory.newest();
  store::AppliedState state;
  consensus::Restored restored;
  if (newest && *newest) {
    auto snapshot =
        store::read_snapshot(machine.disk(), directory.path_of(**newest), ClusterId{"bank-sim001"});
    if (!snapshot) return complain("its snapshot cannot be read: " + snapshot.error().message);
    state = std::move(snapshot->state);
    restored.snapshot = **newest;
    restored.chosen = restored.snapshot;
    restored.configured = std::move(snapshot->configured);
  }
  const auto read = replay(machine.disk(), kGroupLog, [&](const txlog::RecordView& view) -> Status {
    auto record = consensus::decode_record(
        view.type, {reinterpret_cast<const char*>(view.payload.data()), view.payload.size()});
    if (!record) return std::unexpected(record.error());
    return restored.take(*record);
  });
  if (!read) return complain("it cannot be read: " + read.error().message);
  if (restored.chosen > group.applied())
    complain(fmt::format("it takes slot {} for chosen, of {}", restored.chosen.value, group.applied().value));
  for (const auto& [from, configuration] : restored.configured)
    if (from.value <= group.applied().value + 1 && configuration != group.configuration(from))
      complain(fmt::format("from slot {} on it counts by another configuration", from.value));
  if (restored.snapshot.value > 0 && group.state_on(std::move(state)) != group.state_on({}))
    complain(
        fmt::format("its snapshot of slot {} is not what was chosen up to there", restored.snapshot.value));
}

void check_group(Simulation& simulation, const GroupMemory& group, Broken& broken) {
  if (const auto open = group.engine().records().counts().open; open > 0)
    broken.push_back(fmt::format("T6: {} decisions are still open in the store", open));
  if (!group.is_settled())
    broken.push_back("group: a change of its members was chosen, and is not in effect");
  for (auto& coordinator : simulation.coordinators())
    if (!coordinator->is_lost()) check_replica(*coordinator, group, broken);
}

bool has_committed(const Simulation& simulation, const BranchId& branch, std::size_t database) {
  for (const auto& [key, by] : simulation.committed()) {
    const auto found = by.find(branch.transaction.text());
    if (found != by.end() && found->second.contains(database)) return true;
  }
  return false;
}

void check_journal(Simulation& simulation, Machine& agent, Broken& broken) {
  agent::JournalState state;
  const auto read = replay(agent.disk(), "/journal", [&](const txlog::RecordView& view) -> Status {
    auto record = agent::decode(view);
    if (!record) return std::unexpected(record.error());
    if (*record) state.apply(**record);
    return {};
  });
  if (!read)
    return broken.push_back(
        fmt::format("journal of {}: it cannot be read: {}", agent.name(), read.error().message));
  for (const auto& [id, branch] : state.branches) {
    if (simulation.observer().evidence().truth(id.transaction).is_heuristic()) continue;
    const auto database = static_cast<std::size_t>(branch.resource.value.back() - '1');
    if (branch.commit_learned && !has_committed(simulation, id, database))
      broken.push_back(fmt::format("journal of {}: commit of {} was learned, and {} has not committed it",
                                   agent.name(), id.transaction.text(), branch.resource.value));
    if (branch.end == agent::BranchEnd::kRolledBack && has_committed(simulation, id, database))
      broken.push_back(fmt::format("journal of {}: {} was rolled back, and {} has committed it", agent.name(),
                                   id.transaction.text(), branch.resource.value));
  }
}

}  // namespace

void check_logs(Simulation& simulation, Broken& broken) {
  if (const auto* group = simulation.observer().group())
    check_group(simulation, *group, broken);
  else
    check_store(simulation, broken);
  for (auto& agent : simulation.agents())
    check_journal(simulation, *agent, broken);
}

}  // namespace troth::sim
