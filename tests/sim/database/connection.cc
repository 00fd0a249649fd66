#include "tests/sim/database/connection.h"

#include <utility>

#include "base/check.h"
#include "participant_agent/runtime/crash_points.h"
#include "tests/sim/core/fiber.h"
#include "tests/sim/model/refusals.h"

namespace troth::sim {
namespace {

using namespace agent;

// The client's end; shared with whoever may ask it to stop.
struct ClientEnd {
  Database& database;
  Node& client;
  std::uint64_t generation;
  SessionHandle session;
  bool gone = false;

  ~ClientEnd() { let_go(); }
  void let_go() {
    // Of a program that crashed the database finds out by itself.
    if (std::exchange(gone, true) || client.is_dying() || client.generation() != generation) return;
    database.let_go(client, session);
  }
};

class WorldCancellation final : public Cancellation {
 public:
  explicit WorldCancellation(const std::shared_ptr<ClientEnd>& end) : end_(end) {}
  void interrupt() noexcept override {
    if (const auto end = end_.lock(); end && !end->gone) end->database.interrupt(end->client, end->session);
  }
  void break_off() noexcept override {
    if (const auto end = end_.lock()) end->let_go();
  }

 private:
  std::weak_ptr<ClientEnd> end_;
};

class WorldConnection final : public DatabaseConnection {
 public:
  WorldConnection(std::shared_ptr<ClientEnd> end, Duration read_timeout)
      : end_(std::move(end)),
        read_timeout_(read_timeout),
        identity_(end_->database.identity(end_->session)),
        cancellation_(std::make_shared<WorldCancellation>(end_)) {}

  [[nodiscard]] DatabaseKind kind() const override { return end_->database.kind(); }
  [[nodiscard]] SessionIdentity session_identity() const override { return identity_; }
  [[nodiscard]] std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }
  [[nodiscard]] ConnectionCondition condition() const override { return condition_; }
  [[nodiscard]] bool clean_up() override { return ask<Answer<bool>>(CleanUp{}).value_or(false); }

  [[nodiscard]] WorkResult run_branch(const BranchWork& work) override {
    if (work.ending == BranchEnding::kCommitOnePhase) reach(CrashPoint::kBeforeOnePhaseCommit);
    return ask<WorkResult>(RunBranch{work});
  }
  [[nodiscard]] WorkResult run_statement(const BranchWork& work, const OpenStatement& statement) override {
    return ask<WorkResult>(RunStatement{work, statement});
  }
  [[nodiscard]] WorkResult prepare_open(const BranchWork& work, bool marked, bool hold) override {
    return ask<WorkResult>(sim::PrepareOpen{work, marked, hold});
  }
  [[nodiscard]] WorkResult roll_back_open(const BranchWork& work) override {
    return ask<WorkResult>(sim::RollBackOpen{work});
  }
  [[nodiscard]] Answer<void> release_held() override { return ask<Answer<void>>(ReleaseHeld{}); }
  [[nodiscard]] Answer<void> finish_prepared(const BranchId& branch, PreparedEnding ending) override {
    return ask<Answer<void>>(sim::FinishPrepared{branch, ending});
  }
  [[nodiscard]] Answer<std::vector<MarkerRow>> read_markers(
      const BranchId& branch, const std::optional<RequestKey>& request) override {
    return ask<Answer<std::vector<MarkerRow>>>(sim::ReadMarkers{branch, request});
  }
  [[nodiscard]] Answer<void> mark_resolved(const BranchId& branch) override {
    return ask<Answer<void>>(sim::MarkResolved{branch});
  }
  [[nodiscard]] Answer<void> insert_barrier(const BranchId& branch, EpochNumber epoch,
                                            std::chrono::milliseconds wait) override {
    return ask<Answer<void>>(sim::InsertBarrier{branch, epoch, wait});
  }
  [[nodiscard]] Answer<void> insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                    std::chrono::milliseconds wait) override {
    return ask<Answer<void>>(InsertRequestBarrier{request, epoch, wait});
  }
  [[nodiscard]] Answer<PreparedList> list_prepared() override {
    return ask<Answer<PreparedList>>(sim::ListPrepared{});
  }
  [[nodiscard]] Answer<std::vector<RoleSession>> list_role_sessions() override {
    return ask<Answer<std::vector<RoleSession>>>(ListRoleSessions{});
  }
  [[nodiscard]] Answer<bool> end_session(const SessionIdentity& session) override {
    return ask<Answer<bool>>(sim::EndSession{session});
  }
  [[nodiscard]] Answer<ServerRow> read_server(const std::string& known_gtid) override {
    return ask<Answer<ServerRow>>(sim::ReadServer{known_gtid});
  }
  [[nodiscard]] Answer<bool> claim_owner(const OwnerRow& expected, const OwnerRow& claimed) override {
    return ask<Answer<bool>>(ClaimOwner{expected, claimed});
  }
  [[nodiscard]] Answer<bool> raise_counter(const OwnerRow& mine, std::uint64_t counter) override {
    return ask<Answer<bool>>(sim::RaiseCounter{mine, counter});
  }
  [[nodiscard]] Answer<void> raise_floors(const ClusterId& cluster, const Floors& floors) override {
    return ask<Answer<void>>(sim::RaiseFloors{cluster, floors});
  }
  [[nodiscard]] Answer<std::uint64_t> delete_markers(const ClusterId& cluster, const Floors& floors,
                                                     std::uint32_t limit) override {
    return ask<Answer<std::uint64_t>>(sim::DeleteMarkers{cluster, floors, limit});
  }
  [[nodiscard]] Answer<void> run_texts(const Texts&) override { CHECK(false, "the model knows no texts"); }
  [[nodiscard]] Answer<TextRows> ask_texts(const Texts&) override {
    CHECK(false, "the model knows no texts");
  }

 private:
  template <typename T>
  T ask(Request request) {
    if (condition_ == ConnectionCondition::kLost || end_->gone) return lost<T>();
    const auto call = ++*calls_;
    end_->client.post_after(end_->client.clock().true_time(read_timeout_),
                            [weak = std::weak_ptr(end_), calls = calls_, call] {
                              if (const auto end = weak.lock(); end && *calls == call) end->let_go();
                            });
    auto completion = Fiber::await<std::optional<Completion>>(
        [&](const auto& done) { end_->database.ask(end_->client, end_->session, std::move(request), done); });
    ++*calls_;
    if (!completion) {
      end_->let_go();
      return lost<T>();
    }
    condition_ = completion->condition;
    auto* reply = std::get_if<T>(&completion->reply);
    CHECK(reply != nullptr, "the model answered another question");
    return std::move(*reply);
  }

  template <typename T>
  T lost() {
    condition_ = ConnectionCondition::kLost;
    auto error = refusal(kind(), Speaker::kAgent, Fault::kConnectionLost, end_->database.name());
    if constexpr (std::is_same_v<T, WorkResult>) {
      // Everything is sent at once, so that nobody here knows how far it came.
      return WorkResult{Lost{std::move(error.error), true}, {}, identity_, {}};
    } else {
      return std::unexpected(std::move(error));
    }
  }

  std::shared_ptr<ClientEnd> end_;
  Duration read_timeout_;
  // Rises when a call begins and when it ends.
  const std::shared_ptr<std::uint64_t> calls_ = std::make_shared<std::uint64_t>(0);
  SessionIdentity identity_;
  std::shared_ptr<WorldCancellation> cancellation_;
  ConnectionCondition condition_ = ConnectionCondition::kIdle;
};

}  // namespace

Result<std::unique_ptr<DatabaseConnection>> connect_to_model(Database& database, const std::string& role,
                                                             const SessionSettings& settings,
                                                             Duration read_timeout) {
  auto& client = Node::current();
  auto opened = Fiber::await<Result<SessionHandle>>(
      [&](const auto& done) { database.open(client, role, settings, done); });
  if (!opened) return std::unexpected(std::move(opened.error()));
  return std::make_unique<WorldConnection>(
      std::make_shared<ClientEnd>(database, client, client.generation(), *opened), read_timeout);
}

}  // namespace troth::sim
