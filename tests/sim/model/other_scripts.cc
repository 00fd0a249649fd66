// Everything that a session does outside of a branch: each a transaction of its own, ended with its answer.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/schema.h"
#include "tests/sim/model/engine.h"

namespace troth::sim {

using namespace agent;

namespace {

MarkerRow barrier(std::string transaction, BranchNumber branch, std::optional<RequestKey> request,
                  EpochNumber epoch) {
  MarkerRow row;
  row.transaction = std::move(transaction);
  row.branch = branch;
  row.state = MarkerState::kBarred;
  row.request = std::move(request);
  row.epoch = epoch;
  return row;
}

std::string_view name_of(Session::Doing doing) {
  switch (doing) {
    case Session::Doing::kIdle: return "idle";
    case Session::Doing::kWorking: return "working";
    case Session::Doing::kFlushing: return "flushing";
    case Session::Doing::kWaiting: return "waiting for a lock";
    case Session::Doing::kReading: return "reading";
    case Session::Doing::kGoing: return "going";
  }
  return "";
}

}  // namespace

Task<Reply> Engine::run(Session& session, Request request) {
  return std::visit([&](auto& asked) -> Task<Reply> { return replied(carry_out(session, std::move(asked))); },
                    request);
}

// A MariaDB session that is tied to a prepared branch does nothing else.
Refusal Engine::may_run_text(const Session& session) const {
  if (is_postgres() || !session.transaction.has_value()) return std::nullopt;
  return refused(Speaker::kAgent, Fault::kXidBusy);
}

Task<Answer<void>> Engine::carry_out(Session& session, FinishPrepared request) {
  Refusal refusal = co_await finish(session, request.branch, request.ending);
  if (refusal.has_value()) {
    // Where the end failed, only the end of the session is sure.
    if (session.condition == ConnectionCondition::kTied) session.condition = ConnectionCondition::kDoubtful;
    co_return std::unexpected(*refusal);
  }
  untie(session);
  co_return Answer<void>();
}

Task<Answer<std::vector<MarkerRow>>> Engine::carry_out(Session& session, ReadMarkers request) {
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  begin_own(session);
  Answer<std::vector<MarkerRow>> rows = see_markers(session, request.branch, request.request);
  forget(*session.transaction);
  co_return rows;
}

Task<Answer<void>> Engine::carry_out(Session& session, MarkResolved request) {
  const RowKey key = marker_key(request.branch);
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  if (read_only_) co_return std::unexpected(refused(Speaker::kAgent, Fault::kReadOnlyServer));
  begin_own(session);
  Refusal refusal = co_await lock(session, key, Speaker::kAgent);
  if (!refusal.has_value()) {
    const auto* value = rows_.newest(key, *session.transaction);
    if (const auto* marker = value == nullptr ? nullptr : std::get_if<MarkerRow>(value);
        marker != nullptr && marker->state == MarkerState::kCommitted) {
      MarkerRow resolved = *marker;
      resolved.state = MarkerState::kResolved;
      write(session, key, resolved);
    }
    refusal = co_await commit(session);
  }
  if (!refusal.has_value()) co_return Answer<void>();
  co_await roll_back(session);
  co_return std::unexpected(*refusal);
}

Task<Answer<void>> Engine::insert_own(Session& session, const MarkerRow& row, const RowKey& key,
                                      Duration wait) {
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  if (is_postgres() && read_only_) co_return std::unexpected(refused(Speaker::kAgent, Fault::kInRecovery));
  begin_own(session);
  if (is_postgres()) session.lock_limit = wait;
  Refusal refusal = co_await insert_marker(session, row, key);
  if (!refusal.has_value()) refusal = co_await commit(session);
  if (!refusal.has_value()) co_return Answer<void>();
  co_await roll_back(session);
  co_return std::unexpected(*refusal);
}

Task<Answer<void>> Engine::carry_out(Session& session, InsertBarrier request) {
  MarkerRow row =
      barrier(request.branch.transaction.text(), request.branch.branch, std::nullopt, request.epoch);
  const RowKey key = marker_key(request.branch);
  Answer<void> answer = co_await insert_own(session, row, key, request.wait);
  co_return answer;
}

Task<Answer<void>> Engine::carry_out(Session& session, InsertRequestBarrier request) {
  MarkerRow row =
      barrier(request_barrier_name(request.request), BranchNumber{1}, request.request, request.epoch);
  const RowKey key = request_barrier_key(request.request);
  Answer<void> answer = co_await insert_own(session, row, key, request.wait);
  co_return answer;
}

Task<Answer<PreparedList>> Engine::carry_out(Session& session, ListPrepared) {
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  PreparedList list;
  for (const auto& [number, transaction] : transactions_) {
    if (transaction.state != Transaction::State::kPrepared) continue;
    PreparedRow row{.branch = *transaction.branch, .age_seconds = std::nullopt};
    if (is_postgres())
      row.age_seconds =
          std::chrono::duration_cast<std::chrono::seconds>(now_ - transaction.prepared_at).count();
    list.branches.push_back(std::move(row));
  }
  std::ranges::sort(list.branches);
  co_return list;
}

Task<Answer<std::vector<RoleSession>>> Engine::carry_out(Session& session, ListRoleSessions) {
  co_await work(session);
  std::vector<RoleSession> others;
  for (const auto& [handle, other] : sessions_) {
    if (other->lives && other->role == session.role && handle != session.handle)
      others.push_back(
          {.connection = other->identity.connection, .state = std::string(name_of(other->doing))});
  }
  std::ranges::sort(others);
  co_return others;
}

Task<Answer<bool>> Engine::carry_out(Session& session, EndSession request) {
  // Attack 52: numbers start again with the server.
  if (!same_start(request.session.server_start, session.identity.server_start)) co_return true;
  co_await work(session);
  const auto is_meant = [&](const auto& entry) {
    return entry.second->lives && entry.second->identity.connection == request.session.connection &&
           entry.second->role == session.role;
  };
  if (const auto found = std::ranges::find_if(sessions_, is_meant); found != sessions_.end())
    tell_to_end(*found->second);
  co_await trip(session);
  co_return std::ranges::none_of(sessions_, is_meant);
}

Task<Answer<ServerRow>> Engine::carry_out(Session& session, ReadServer request) {
  co_await work(session);
  ServerRow row;
  row.server = server_;
  row.timeline = is_postgres() ? timeline_ : 0;
  if (options_.kind == DatabaseKind::kMysql) {
    row.gtid = text_of(gtids_);
    if (!request.known_gtid.empty()) row.holds_known_gtid = holds(gtids_, request.known_gtid);
  }
  row.read_only = read_only_;
  row.started = started_;
  row.version = "model";
  row.installation = "0123456789abcdef";
  row.schema_version = kSchemaVersion;
  row.not_durable = not_durable_;
  row.owner = std::get<OwnerRow>(*rows_.newest(owner_key(), {}));
  co_return row;
}

// -- Owner and floors --------------------------------------------------------------------------------------

Task<Answer<bool>> Engine::change_owner(Session& session, const OwnerRow& expected, const OwnerRow& wanted,
                                        bool counts) {
  const RowKey key = owner_key();
  OwnerRow next = wanted;
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  if (read_only_) co_return std::unexpected(refused(Speaker::kAgent, Fault::kReadOnlyServer));
  begin_own(session);
  Refusal refusal = co_await lock(session, key, Speaker::kAgent);
  bool changed = false;
  if (!refusal.has_value()) {
    const OwnerRow row = std::get<OwnerRow>(*rows_.newest(owner_key(), *session.transaction));
    changed = row.same_owner(expected) && (!counts || row.counter == expected.counter);
    if (!counts) next.counter = row.counter;
    if (changed) write(session, owner_key(), next);
    refusal = co_await commit(session);
  }
  if (!refusal.has_value()) co_return changed;
  co_await roll_back(session);
  co_return std::unexpected(*refusal);
}

Task<Answer<bool>> Engine::carry_out(Session& session, ClaimOwner request) {
  Answer<bool> answer = co_await change_owner(session, request.expected, request.claimed, /*counts=*/false);
  co_return answer;
}

Task<Answer<bool>> Engine::carry_out(Session& session, RaiseCounter request) {
  OwnerRow expected = request.mine;
  OwnerRow next = request.mine;
  expected.counter = request.counter - 1;
  next.counter = request.counter;
  Answer<bool> answer = co_await change_owner(session, expected, next, /*counts=*/true);
  co_return answer;
}

Task<Answer<void>> Engine::carry_out(Session& session, RaiseFloors request) {
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  if (read_only_) co_return std::unexpected(refused(Speaker::kAgent, Fault::kReadOnlyServer));
  begin_own(session);
  const RowKey key = floor_key(request.cluster);
  const WantedLock wanted{.key = key, .mode = LockMode::kInsert};
  Refusal refusal = co_await wait_until_free(session, wanted, Speaker::kAgent);
  if (!refusal.has_value()) {
    locks_.take(*session.transaction, key, LockMode::kInsert);
    Floors floors;
    if (const RowValue* found = rows_.newest(key, *session.transaction); found != nullptr)
      floors = std::get<Floors>(*found);
    floors.position = std::max(floors.position, request.floors.position);
    floors.request_ms = std::max(floors.request_ms, request.floors.request_ms);
    write(session, key, floors);
    refusal = co_await commit(session);
  }
  if (!refusal.has_value()) co_return Answer<void>();
  co_await roll_back(session);
  co_return std::unexpected(*refusal);
}

Task<Answer<std::uint64_t>> Engine::carry_out(Session& session, DeleteMarkers request) {
  co_await work(session);
  if (Refusal refusal = may_run_text(session); refusal.has_value()) co_return std::unexpected(*refusal);
  if (read_only_) co_return std::unexpected(refused(Speaker::kAgent, Fault::kReadOnlyServer));
  begin_own(session);
  const RequestId first_kept = first_request_id_of(request.floors.request_ms);
  const Position& floor = request.floors.position;
  const RowKey below{Table::kBranch, fmt::format("{:010}.{:012}.", floor.epoch.value, floor.sequence.value)};
  std::uint64_t gone = 0;
  Refusal refusal = std::nullopt;
  const std::map<RowKey, RowValue> all = rows_.all_of(Table::kBranch);
  for (auto row = all.begin(); row != all.end() && row->first < below; ++row) {
    const auto& marker = std::get<MarkerRow>(row->second);
    const bool is_own = row->first.key.starts_with("0000000000.") ||
                        marker.transaction.starts_with(request.cluster.value + ".");
    const bool is_old = !marker.request.has_value() || marker.request->id < first_kept;
    if (!is_own || !is_old || gone == request.limit) continue;
    refusal = co_await lock(session, row->first, Speaker::kAgent);
    if (refusal.has_value()) break;
    write(session, row->first, std::nullopt);
    if (marker.request.has_value()) {
      const RowKey key = request_key(*marker.request);
      refusal = co_await lock(session, key, Speaker::kAgent);
      if (refusal.has_value()) break;
      write(session, key, std::nullopt);
    }
    ++gone;
  }
  if (!refusal.has_value()) refusal = co_await commit(session);
  if (!refusal.has_value()) co_return gone;
  co_await roll_back(session);
  co_return std::unexpected(*refusal);
}

Task<Answer<bool>> Engine::carry_out(Session& session, CleanUp) {
  if (session.condition != ConnectionCondition::kIdle) co_return false;
  co_await work(session);
  co_return session.condition == ConnectionCondition::kIdle && !session.doubted;
}

}  // namespace troth::sim
