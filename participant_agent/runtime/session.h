// participant_agent/runtime/session.h
//
// One thread with one connection, because the drivers block. It takes one task at a time.
//
//   idle --task--> running --+-- connection idle: cleaned, or closed when in doubt --> idle
//                            +-- connection tied: kept for the branch ---------------> idle, for that branch
//                            only
//                            '-- connection lost: its backend is ended, seen gone ---> idle, not connected
//
// [T11] A task that lost its connection is answered only after the server's end of it is gone, or the answer
// says that it may still run: a killed client's backend otherwise finishes its PREPARE or COMMIT seconds
// later. [T12] A connection is never replaced under a task: what opens a new one is the next task.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/deadline_watch.h"

namespace troth::agent {

// What became of the server's end of a task's connection.
enum class BackendFate : std::uint8_t {
  kAlive,       // the connection still stands, or was closed with nothing running on it
  kGone,        // the connection was lost, and the server no longer has that session
  kMayStillRun  // the connection was lost, and the server could not be asked
};

struct SessionTask {
  // On the session's thread; keeps what it found in its own closure. Not called if the task was refused.
  std::function<void(DatabaseConnection&)> run;
  // Exactly once, through the pool's `post`. The status tells whether `run` was called: an error means that
  // the task had no effect (overloaded, timeout in the queue, no connection, shutting down).
  std::function<void(Status, BackendFate)> done;
  // Still queued then: refused. Running then: asked to stop until it does.
  Instant deadline;
  // The branch whose tied session must run the task, if there is one; and to which `run` may tie its session.
  std::optional<BranchId> branch;
  // It will tie its session: refused where as many are tied as may be, so that other work finds a session.
  bool opens_interactive = false;
};

using OpenConnection = std::function<Result<std::unique_ptr<DatabaseConnection>>()>;

class Session {
 public:
  // What the session asks of its owner; all called on the session's thread.
  class Owner {
   public:
    virtual ~Owner() = default;
    // A connection, or why there is none; back-off is the owner's.
    virtual Result<std::unique_ptr<DatabaseConnection>> open() = 0;
    // A connection of an earlier one is not used for anything new.
    virtual std::uint64_t generation() const = 0;
    // The task has run. Called before `done` is posted, so that a commit that follows at once finds its
    // session.
    virtual void ran(Session& session, const std::optional<BranchId>& branch,
                     ConnectionCondition condition) = 0;
    virtual void post(std::function<void()> completion) = 0;
    // The session is clean again: its next task, or none for now.
    virtual std::optional<SessionTask> next_for(Session& session) = 0;
  };

  Session(Owner& owner, DeadlineWatch& watch);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The session must be free (`next_for` gave none, or it is new).
  void give(SessionTask task);
  // The thread ends, and closes its connection, after the task that it has.
  void stop();
  void join();

 private:
  void run();
  void perform(SessionTask task);
  Status connect();
  BackendFate end_lost_backend();
  void settle(bool was_asked_to_stop);

  Owner& owner_;
  DeadlineWatch& watch_;
  // Only the session's thread touches these.
  std::unique_ptr<DatabaseConnection> connection_;
  Instant last_used_{};
  std::uint64_t generation_ = 0;  // of the owner, when it was opened

  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<SessionTask> slot_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troth::agent
