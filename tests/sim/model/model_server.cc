#include "tests/sim/model/model_server.h"

#include <utility>

#include "base/check.h"
#include "tests/sim/model/engine.h"

namespace troth::sim {

using namespace agent;

ModelServer::ModelServer(ModelOptions options, Random random, Instant now)
    : engine_(std::make_unique<Engine>(std::move(options), random, now)) {}
ModelServer::~ModelServer() = default;
ModelServer::ModelServer(ModelServer&& other) noexcept = default;

Result<SessionHandle> ModelServer::open(const std::string& role, const SessionSettings& settings,
                                        Instant now) {
  return engine_->open(role, settings, now);
}
void ModelServer::submit(SessionHandle session, Request request, Instant now) {
  engine_->submit(session, std::move(request), now);
}
void ModelServer::request_stop(SessionHandle session, Instant now) {
  engine_->request_stop(session, now);
}
void ModelServer::interrupt(SessionHandle session, Instant now) {
  engine_->interrupt(session, now);
}
void ModelServer::break_off(SessionHandle session, Instant now) {
  engine_->break_off(session, now);
}
bool ModelServer::has(SessionHandle session) const {
  const Session* found = engine_->find(session);
  return found != nullptr && found->has_client;
}
void ModelServer::vanish(SessionHandle session, Instant now) {
  engine_->vanish(session, now);
}
void ModelServer::cut(SessionHandle session, Instant now) {
  engine_->cut(session, now);
}

SessionIdentity ModelServer::identity(SessionHandle session) const {
  const Session* found = engine_->find(session);
  CHECK(found != nullptr, "no session {}", session.value);
  return found->identity;
}
ConnectionCondition ModelServer::condition(SessionHandle session) const {
  const Session* found = engine_->find(session);
  CHECK(found != nullptr, "no session {}", session.value);
  return found->condition;
}

std::optional<Instant> ModelServer::wakes_at() const {
  return engine_->wakes_at();
}
void ModelServer::advance(Instant now) {
  engine_->advance(now);
}
std::vector<Completion> ModelServer::take_completions() {
  return engine_->take_completions();
}
std::optional<Completion> ModelServer::take_completion(SessionHandle session) {
  return engine_->take_completion(session);
}

void ModelServer::crash(Instant now) {
  engine_->crash(now);
}
void ModelServer::start(Instant now) {
  engine_->start(now);
}
bool ModelServer::is_up() const {
  return engine_->is_up();
}
Snapshot ModelServer::snapshot() const {
  return engine_->snapshot();
}
void ModelServer::set_back(const Snapshot& snapshot) {
  engine_->set_back(snapshot);
}
void ModelServer::promote(const Snapshot& snapshot) {
  engine_->promote(snapshot);
}
void ModelServer::set_read_only(bool read_only) {
  engine_->set_read_only(read_only);
}
void ModelServer::become_primary() {
  engine_->become_primary();
}
void ModelServer::set_sync(Span sync) {
  engine_->set_sync(sync);
}
void ModelServer::set_not_durable(std::string why) {
  engine_->set_not_durable(std::move(why));
}

std::map<std::int64_t, std::int64_t> ModelServer::accounts() const {
  std::map<std::int64_t, std::int64_t> accounts;
  for (const auto& [key, value] : engine_->rows_of(Table::kAccounts))
    accounts.emplace(std::stoll(key.key), std::get<std::int64_t>(value));
  return accounts;
}

std::vector<MarkerRow> ModelServer::markers() const {
  std::vector<MarkerRow> markers;
  for (const auto& [key, value] : engine_->rows_of(Table::kBranch))
    markers.push_back(std::get<MarkerRow>(value));
  return markers;
}

std::map<std::string, std::optional<MarkerRow>> ModelServer::take_changed_markers() {
  return engine_->take_changed_markers();
}

std::set<BranchId> ModelServer::prepared() const {
  return engine_->prepared();
}

OwnerRow ModelServer::owner() const {
  return std::get<OwnerRow>(engine_->rows_of(Table::kOwner).at(owner_key()));
}

Floors ModelServer::floors(const ClusterId& cluster) const {
  const auto rows = engine_->rows_of(Table::kFloor);
  const auto found = rows.find(floor_key(cluster));
  return found == rows.end() ? Floors{} : std::get<Floors>(found->second);
}

bool ModelServer::lives(SessionHandle session) const {
  const Session* found = engine_->find(session);
  return found != nullptr && found->lives;
}

bool ModelServer::waits_for_lock(SessionHandle session) const {
  const Session* found = engine_->find(session);
  return found != nullptr && found->doing == Session::Doing::kWaiting;
}

bool ModelServer::flushes(SessionHandle session) const {
  const Session* found = engine_->find(session);
  return found != nullptr && found->doing == Session::Doing::kFlushing;
}

std::optional<SessionHandle> ModelServer::find(const SessionIdentity& session) const {
  return engine_->find(session);
}

void ModelServer::kill(SessionHandle session, Instant now) {
  engine_->kill(session, now);
}

}  // namespace troth::sim
