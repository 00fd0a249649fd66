// participant_agent/runtime/session.h
//
// One thread with one connection, because the drivers block. It takes one task at a time. What goes well on a driver
// that need not block is carried by the event loop instead (carried_session.h), and the thread sleeps.
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
  // On the session's thread, or on the loop where it does not wait; keeps what it found in its own closure. Not called if
  // the task was refused.
  std::function<void(DatabaseConnection&)> run;
  // Optional; on the loop. Starts what `run` goes on with (DatabaseConnection::start_*); false: nothing was started.
  std::function<bool(DatabaseConnection&)> start;
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

  // How far the event loop has carried a task that it hands over.
  enum class Stage : std::uint8_t {
    kFresh,    // not at all
    kStarted,  // it runs, and `run` goes on with it
    kRan,      // and is yet to be answered
    kAnswered  // and the session is to be cleaned or closed
  };

  // The session must be free (`next_for` gave none, or it is new), or the loop's.
  void give(SessionTask task, Stage stage = Stage::kFresh);
  // For the loop, while the session is busy with a task that was not given: its connection, as it stands, or null where
  // only the thread can make one of it that is fit for use.
  [[nodiscard]] DatabaseConnection* connection_for_loop() const;
  // The loop has used it.
  void was_used();
  // The thread ends, and closes its connection, after the task that it has.
  void stop();
  void join();

 private:
  struct Given {
    SessionTask task;
    Stage stage = Stage::kFresh;
  };

  void run();
  void perform(Given given);
  [[nodiscard]] bool begin(SessionTask& task);
  [[nodiscard]] bool is_stale() const;
  Status connect();
  BackendFate end_lost_backend();
  void settle(const SessionTask& task, bool was_asked_to_stop);
  [[nodiscard]] bool clean_up(const SessionTask& task);

  Owner& owner_;
  DeadlineWatch& watch_;
  // The thread's; the loop's while that carries a task.
  std::unique_ptr<DatabaseConnection> connection_;
  Instant last_used_{};
  std::uint64_t generation_ = 0;  // of the owner, when it was opened

  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<Given> slot_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troth::agent
