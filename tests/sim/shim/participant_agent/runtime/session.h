// tests/sim/shim/participant_agent/runtime/session.h
//
// Stands in for the file of that name: a session's thread is a fiber. What it does with a task, and in which order, is the
// same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "tests/sim/core/fiber.h"

namespace troth::agent {

// What became of the server's end of a task's connection.
enum class BackendFate : std::uint8_t {
  kAlive,       // the connection still stands, or was closed with nothing running on it
  kGone,        // the connection was lost, and the server no longer has that session
  kMayStillRun  // the connection was lost, and the server could not be asked
};

struct SessionTask {
  std::function<void(DatabaseConnection&)> run;
  std::function<bool(DatabaseConnection&)> start;
  std::function<void(Status, BackendFate)> done;
  Instant deadline;
  std::optional<BranchId> branch;
  bool opens_interactive = false;
};

using OpenConnection = std::function<Result<std::unique_ptr<DatabaseConnection>>()>;

class Session {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual Result<std::unique_ptr<DatabaseConnection>> open() = 0;
    virtual std::uint64_t generation() const = 0;
    virtual void ran(Session& session, const std::optional<BranchId>& branch,
                     ConnectionCondition condition) = 0;
    virtual void post(std::function<void()> completion) = 0;
    virtual std::optional<SessionTask> next_for(Session& session) = 0;
  };

  Session(Owner& owner, DeadlineWatch& watch);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  enum class Stage : std::uint8_t { kFresh, kStarted, kRan, kAnswered };

  void give(SessionTask task, Stage stage = Stage::kFresh);
  [[nodiscard]] DatabaseConnection* connection_for_loop() const;
  void was_used();
  void stop();
  void join();

 private:
  void run(SessionTask first);
  void perform(SessionTask& task);
  [[nodiscard]] bool begin(SessionTask& task);
  [[nodiscard]] bool is_stale() const;
  Status connect();
  BackendFate end_lost_backend();
  void settle(const SessionTask& task, bool was_asked_to_stop);
  [[nodiscard]] bool clean_up(const SessionTask& task);

  Owner& owner_;
  DeadlineWatch& watch_;
  std::unique_ptr<DatabaseConnection> connection_;
  Instant last_used_{};
  std::uint64_t generation_ = 0;
  std::unique_ptr<sim::Fiber> fiber_;
};

}  // namespace troth::agent
