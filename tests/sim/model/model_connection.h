// tests/sim/model/model_connection.h
//
// A session with a model server as a DatabaseConnection: each call runs virtual time until it is answered. For tests
// that run against the model and against a real server alike.
#pragma once

#include <memory>
#include <string>

#include "participant_agent/runtime/database_connection.h"
#include "tests/sim/model/model_server.h"

namespace troth::sim {

// A server with the time that its connections run.
struct TimedServer {
  ModelServer server;
  Instant now;
};

// Runs virtual time up to what happens next; false: nothing ever does.
[[nodiscard]] bool run_on(TimedServer& timed);

class ModelConnection final : public agent::DatabaseConnection {
 public:
  // The server outlives it. As of `session`, which is open.
  ModelConnection(std::shared_ptr<TimedServer> timed, agent::DatabaseKind kind, SessionHandle session);
  ~ModelConnection() override;

  // A call in two halves: others may be under way in between.
  void submit(Request request);
  [[nodiscard]] Reply await();
  [[nodiscard]] SessionHandle session() const { return session_; }
  // The client's end is closed; with `silently` the server never hears of it.
  void leave(bool silently);

  [[nodiscard]] agent::DatabaseKind kind() const override { return kind_; }
  [[nodiscard]] agent::SessionIdentity session_identity() const override { return identity_; }
  [[nodiscard]] std::shared_ptr<agent::Cancellation> cancellation() const override { return cancellation_; }
  [[nodiscard]] agent::ConnectionCondition condition() const override;
  [[nodiscard]] bool clean_up() override;

  [[nodiscard]] agent::WorkResult run_branch(const agent::BranchWork& work) override;
  [[nodiscard]] agent::WorkResult run_statement(const agent::BranchWork& work,
                                                const agent::OpenStatement& statement) override;
  [[nodiscard]] agent::WorkResult prepare_open(const agent::BranchWork& work, bool marked,
                                               bool hold) override;
  [[nodiscard]] agent::WorkResult roll_back_open(const agent::BranchWork& work) override;
  [[nodiscard]] agent::Answer<void> release_held() override;
  [[nodiscard]] agent::Answer<void> finish_prepared(const BranchId& branch,
                                                    agent::PreparedEnding ending) override;
  [[nodiscard]] agent::Answer<std::vector<agent::MarkerRow>> read_markers(
      const BranchId& branch, const std::optional<RequestKey>& request) override;
  [[nodiscard]] agent::Answer<void> mark_resolved(const BranchId& branch) override;
  [[nodiscard]] agent::Answer<void> insert_barrier(const BranchId& branch, EpochNumber epoch,
                                                   std::chrono::milliseconds wait) override;
  [[nodiscard]] agent::Answer<void> insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                           std::chrono::milliseconds wait) override;
  [[nodiscard]] agent::Answer<agent::PreparedList> list_prepared() override;
  [[nodiscard]] agent::Answer<std::vector<agent::RoleSession>> list_role_sessions() override;
  [[nodiscard]] agent::Answer<bool> end_session(const agent::SessionIdentity& session) override;
  [[nodiscard]] agent::Answer<agent::ServerRow> read_server(const std::string& known_gtid) override;
  [[nodiscard]] agent::Answer<bool> claim_owner(const agent::OwnerRow& expected,
                                                const agent::OwnerRow& claimed) override;
  [[nodiscard]] agent::Answer<bool> raise_counter(const agent::OwnerRow& mine,
                                                  std::uint64_t counter) override;
  [[nodiscard]] agent::Answer<void> raise_floors(const ClusterId& cluster,
                                                 const agent::Floors& floors) override;
  [[nodiscard]] agent::Answer<std::uint64_t> delete_markers(const ClusterId& cluster,
                                                            const agent::Floors& floors,
                                                            std::uint32_t limit) override;
  // The model knows no texts.
  [[nodiscard]] agent::Answer<void> run_texts(const agent::Texts& texts) override;
  [[nodiscard]] agent::Answer<agent::TextRows> ask_texts(const agent::Texts& texts) override;

 private:
  template <typename Answered>
  Answered ask(Request request);

  std::shared_ptr<TimedServer> timed_;
  agent::DatabaseKind kind_;
  SessionHandle session_;
  agent::SessionIdentity identity_;
  std::shared_ptr<agent::Cancellation> cancellation_;
  bool left_ = false;
};

}  // namespace troth::sim
