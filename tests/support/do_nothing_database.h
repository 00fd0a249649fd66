// A database that keeps markers and an owner row in memory, and no data: for tests and benchmarks of
// everything around a database. It answers as a real one does: prepared branches are invisible, unknown ones
// are unknown, a barrier beside a prepared marker waits in vain, and with `ties` a branch ends on the session
// that prepared it while that lives.
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
  // A statement of this text waits until it is cancelled, its session is ended, or `release` is called.
  std::string blocking_statement = "block";
};

// Shared by its connections; thread-safe.
class DoNothingDatabase : public std::enable_shared_from_this<DoNothingDatabase> {
 public:
  explicit DoNothingDatabase(DoNothingOptions options = {}) : options_(std::move(options)) {}

  [[nodiscard]] Result<std::unique_ptr<agent::DatabaseConnection>> connect();

  // Faults.
  void refuse_connections(bool refused);
  void end(agent::ConnectionId session);      // as a DBA would
  void release();                             // every blocked statement goes on
  void silence(agent::ConnectionId session);  // its next finish waits for `release`, also when it was ended
  void set_back();                            // the owner row's counter, as a restore does
  void lose_durability(std::string setting);  // empty: it is durable again

  [[nodiscard]] std::size_t sessions() const;
  [[nodiscard]] std::size_t blocked() const;
  [[nodiscard]] std::size_t committed() const;

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
  std::map<BranchId, PreparedBranch> prepared_;
  std::map<BranchId, agent::MarkerRow> markers_;
  std::map<RequestKey, agent::MarkerRow> request_barriers_;
  agent::OwnerRow owner_;
  agent::Floors floors_;
};

}  // namespace troth
