#include "tests/sim/model/model_connection.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace troth::sim {

using namespace agent;

namespace {

class ModelCancellation final : public Cancellation {
 public:
  ModelCancellation(std::weak_ptr<TimedServer> timed, SessionHandle session)
      : timed_(std::move(timed)), session_(session) {}
  void interrupt() noexcept override {
    const auto timed = timed_.lock();
    if (timed != nullptr && timed->server.has(session_)) timed->server.interrupt(session_, timed->now);
  }
  void break_off() noexcept override {
    const auto timed = timed_.lock();
    if (timed != nullptr && timed->server.has(session_)) timed->server.break_off(session_, timed->now);
  }

 private:
  std::weak_ptr<TimedServer> timed_;
  SessionHandle session_;
};

}  // namespace

bool run_on(TimedServer& timed) {
  const std::optional<Instant> wakes_at = timed.server.wakes_at();
  if (!wakes_at.has_value()) return false;
  timed.now = std::max(timed.now, *wakes_at);
  timed.server.advance(timed.now);
  return true;
}

ModelConnection::ModelConnection(std::shared_ptr<TimedServer> timed, DatabaseKind kind, SessionHandle session)
    : timed_(std::move(timed)),
      kind_(kind),
      session_(session),
      identity_(timed_->server.identity(session)),
      cancellation_(std::make_shared<ModelCancellation>(timed_, session)) {}

ModelConnection::~ModelConnection() {
  leave(/*silently=*/false);
}

void ModelConnection::leave(bool silently) {
  if (std::exchange(left_, true)) return;
  if (silently) timed_->server.cut(session_, timed_->now);
  timed_->server.vanish(session_, timed_->now);
}

ConnectionCondition ModelConnection::condition() const {
  return left_ ? ConnectionCondition::kLost : timed_->server.condition(session_);
}

void ModelConnection::submit(Request request) {
  timed_->server.submit(session_, std::move(request), timed_->now);
}

Reply ModelConnection::await() {
  for (;;) {
    if (std::optional<Completion> completion = timed_->server.take_completion(session_);
        completion.has_value())
      return std::move(completion->reply);
    if (cancellation_->requested()) timed_->server.request_stop(session_, timed_->now);
    CHECK(run_on(*timed_), "session {} is never answered", session_.value);
  }
}

template <typename Answered>
Answered ModelConnection::ask(Request request) {
  submit(std::move(request));
  Reply reply = await();
  auto* answer = std::get_if<Answered>(&reply);
  CHECK(answer != nullptr, "the reply to another request");
  return std::move(*answer);
}

bool ModelConnection::clean_up() {
  return ask<Answer<bool>>(CleanUp{}).value_or(false);
}
WorkResult ModelConnection::run_branch(const BranchWork& work) {
  return ask<WorkResult>(RunBranch{work});
}
WorkResult ModelConnection::run_statement(const BranchWork& work, const OpenStatement& statement) {
  return ask<WorkResult>(RunStatement{work, statement});
}
WorkResult ModelConnection::prepare_open(const BranchWork& work, bool marked, bool hold) {
  return ask<WorkResult>(PrepareOpen{work, marked, hold});
}
WorkResult ModelConnection::roll_back_open(const BranchWork& work) {
  return ask<WorkResult>(RollBackOpen{work});
}
Answer<void> ModelConnection::release_held() {
  return ask<Answer<void>>(ReleaseHeld{});
}
Answer<void> ModelConnection::finish_prepared(const BranchId& branch, PreparedEnding ending) {
  return ask<Answer<void>>(FinishPrepared{branch, ending});
}
Answer<std::vector<MarkerRow>> ModelConnection::read_markers(const BranchId& branch,
                                                             const std::optional<RequestKey>& request) {
  return ask<Answer<std::vector<MarkerRow>>>(ReadMarkers{branch, request});
}
Answer<void> ModelConnection::mark_resolved(const BranchId& branch) {
  return ask<Answer<void>>(MarkResolved{branch});
}
Answer<void> ModelConnection::insert_barrier(const BranchId& branch, EpochNumber epoch,
                                             std::chrono::milliseconds wait) {
  return ask<Answer<void>>(InsertBarrier{branch, epoch, wait});
}
Answer<void> ModelConnection::insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                     std::chrono::milliseconds wait) {
  return ask<Answer<void>>(InsertRequestBarrier{request, epoch, wait});
}
Answer<PreparedList> ModelConnection::list_prepared() {
  return ask<Answer<PreparedList>>(ListPrepared{});
}
Answer<std::vector<RoleSession>> ModelConnection::list_role_sessions() {
  return ask<Answer<std::vector<RoleSession>>>(ListRoleSessions{});
}
Answer<bool> ModelConnection::end_session(const SessionIdentity& session) {
  return ask<Answer<bool>>(EndSession{session});
}
Answer<ServerRow> ModelConnection::read_server(const std::string& known_gtid) {
  return ask<Answer<ServerRow>>(ReadServer{known_gtid});
}
Answer<bool> ModelConnection::claim_owner(const OwnerRow& expected, const OwnerRow& claimed) {
  return ask<Answer<bool>>(ClaimOwner{expected, claimed});
}
Answer<bool> ModelConnection::raise_counter(const OwnerRow& mine, std::uint64_t counter) {
  return ask<Answer<bool>>(RaiseCounter{mine, counter});
}
Answer<void> ModelConnection::raise_floors(const ClusterId& cluster, const Floors& floors) {
  return ask<Answer<void>>(RaiseFloors{cluster, floors});
}
Answer<std::uint64_t> ModelConnection::delete_markers(const ClusterId& cluster, const Floors& floors,
                                                      std::uint32_t limit) {
  return ask<Answer<std::uint64_t>>(DeleteMarkers{cluster, floors, limit});
}
Answer<void> ModelConnection::run_texts(const Texts&) {
  CHECK(false, "the model knows no texts");
}
Answer<TextRows> ModelConnection::ask_texts(const Texts&) {
  CHECK(false, "the model knows no texts");
}

}  // namespace troth::sim
