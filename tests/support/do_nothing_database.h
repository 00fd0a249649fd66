// A database that keeps markers and an owner row in memory, and no data: for tests and benchmarks of
// everything around a database. It answers as a real one does: prepared branches are invisible, unknown ones
// are unknown, whatever meets the marker of a running or prepared branch waits in vain, what lies below a
// floor is refused, and with `ties` a branch ends on the session that prepared it while that lives.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/result.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth {

struct DoNothingOptions {
  bool ties = false;
  // Its sessions answer at once, so an event loop carries them as it does a real driver's; nothing may block then.
  bool prompt = false;
  // A statement of this text waits until it is cancelled, its session is ended, or `release` is called.
  std::string blocking_statement = "block";
  // A statement of this text is refused, as by a constraint.
  std::string refused_statement = "refuse";
  // Each so many endings of branches (prepare, commit in one phase) the session is lost, by turns before and
  // after the branch has ended. Zero: never.
  std::uint64_t lose_an_ending_in = 0;
};

// Shared by its connections; thread-safe.
class DoNothingDatabase : public std::enable_shared_from_this<DoNothingDatabase> {
 public:
  explicit DoNothingDatabase(DoNothingOptions options = {}) : options_(std::move(options)) {}

  [[nodiscard]] Result<std::unique_ptr<agent::DatabaseConnection>> connect();
  // The one that it behaves like.
  [[nodiscard]] agent::DatabaseKind kind() const {
    return options_.ties ? agent::DatabaseKind::kMariadb : agent::DatabaseKind::kMysql;
  }

  // Faults.
  void refuse_connections(bool refused);
  void end(agent::ConnectionId session);      // as a DBA would
  void release();                             // every blocked statement goes on
  void silence(agent::ConnectionId session);  // its next finish waits for `release`, also when it was ended
  void set_back();                            // the owner row's counter, as a restore does
  void lose_durability(std::string setting);  // empty: it is durable again

  // From now on the second phase waits, until it is allowed again or its session is ended.
  void hold_finishing(bool held);

  [[nodiscard]] std::size_t sessions() const;
  [[nodiscard]] std::size_t blocked() const;
  [[nodiscard]] std::size_t committed() const;
  // Branches that hold something: running, or prepared.
  [[nodiscard]] std::size_t unfinished() const;
  // Every row of the marker table, barriers too.
  [[nodiscard]] std::map<BranchId, agent::MarkerRow> markers() const;

 private:
  friend class DoNothingConnection;
  friend class DoNothingCancellation;

  struct PreparedBranch {
    agent::MarkerRow marker;
    agent::ConnectionId session;
  };

  const DoNothingOptions options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::uint64_t last_session_ = 0;
  std::set<agent::ConnectionId> sessions_;
  std::set<agent::ConnectionId> cancelled_;
  std::size_t blocked_ = 0;
  std::uint64_t released_ = 0;
  bool refused_ = false;
  std::set<agent::ConnectionId> silent_;
  std::string not_durable_;
  bool finishing_held_ = false;
  std::uint64_t endings_ = 0;
  std::map<BranchId, agent::MarkerRow> running_;
  std::map<BranchId, PreparedBranch> prepared_;
  std::map<BranchId, agent::MarkerRow> markers_;
  std::map<RequestKey, agent::MarkerRow> request_barriers_;
  agent::OwnerRow owner_;
  agent::Floors floors_;
};

}  // namespace troth
