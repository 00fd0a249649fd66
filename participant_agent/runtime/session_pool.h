// participant_agent/runtime/session_pool.h
//
// The database sessions of one resource. Tasks wait in the order in which they came, up to a limit.
//
// MariaDB ties a prepared branch to its session until that session ends it, and an interactive branch lives on one
// from its first statement: such a session is set aside, its
// branch's next task runs on it, and another session takes its place among the free ones, up to a limit.
//
// Thread safety: every method may be called from any thread, with a loop `submit` and `shut_down` on its only; completions
// arrive through `post`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/runtime/carried_session.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "participant_agent/runtime/later_looks.h"
#include "participant_agent/runtime/session.h"

namespace troth::agent {

struct SessionPoolOptions {
  ResourceName resource;
  std::size_t sessions = 8;        // that run tasks at the same time
  std::size_t tied_sessions = 64;  // that may be set aside beside them (interactive branches; MariaDB)
  std::size_t queue_limit = 1024;  // tasks that wait; one more is refused as overloaded
  DeadlineWatchOptions cancel;
  Duration reconnect_min = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::seconds(5);
};

struct SessionPoolCounts {
  std::size_t sessions = 0;  // threads, tied ones included
  std::size_t busy = 0;
  std::size_t tied = 0;
  std::size_t queued = 0;
};

class SessionPool final : public Session::Owner {
 public:
  using Post = std::function<void(std::function<void()>)>;

  // `open` is called on session threads, several at a time. `post` hands a completion to the owner's event
  // loop; it must take them until `shut_down` has returned. `loop`, where there is one, carries what it can (see
  // carried_session.h); else threads do everything.
  SessionPool(SessionPoolOptions options, OpenConnection open, Post post, asio::io_context* loop = nullptr);
  ~SessionPool() override;
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  void submit(SessionTask task);

  // The typed form: `run` returns what it found; `done` gets that, or why it was not run. `start`: as SessionTask's.
  template <typename T>
  void submit(Instant deadline, std::optional<BranchId> branch,
              std::function<Result<T>(DatabaseConnection&)> run,
              std::function<void(Result<T>, BackendFate)> done,
              std::function<bool(DatabaseConnection&)> start = {});

  // Refuses new tasks and those that wait, asks the running ones to stop, and joins every thread. A tied
  // session ends with its branch still prepared: from then on any session can finish that branch.
  void shut_down();

  // Every task from here on runs on a session that was opened from here on; tied ones keep theirs.
  void renew() { ++generation_; }

  // Answers the waiting tasks whose time is up; called by the owner's tick.
  void refuse_expired();

  [[nodiscard]] SessionPoolCounts counts() const;
  [[nodiscard]] const SessionPoolOptions& options() const { return options_; }

 private:
  enum class Use { kFree, kBusy, kTied };
  struct Member {
    std::unique_ptr<Session> session;
    std::shared_ptr<CarriedSession> carried;  // null without a loop
    Use use = Use::kFree;
    std::optional<BranchId> tied_to;
    std::deque<SessionTask> waiting;  // tasks of the branch it is tied to, while it runs another of them
  };

  Result<std::unique_ptr<DatabaseConnection>> open() override;
  std::uint64_t generation() const override { return generation_; }
  void ran(Session& session, const std::optional<BranchId>& branch, ConnectionCondition condition) override;
  void post(std::function<void()> completion) override;
  std::optional<SessionTask> next_for(Session& session) override;

  // To a session that is busy with it.
  static void hand(Member& member, SessionTask task);
  void refuse(SessionTask task, Error error);
  [[nodiscard]] Error unavailable(const std::string& why) const;
  [[nodiscard]] Error overloaded(const std::string& what) const;

  // These want `mutex_` held.
  [[nodiscard]] Member& member_of(const Session& session);
  // Sessions that run a task and are not tied.
  [[nodiscard]] std::size_t serving() const;
  // A free session for new work, made if the limits allow it; null: the task must wait.
  [[nodiscard]] Member* free_member();
  [[nodiscard]] static std::optional<SessionTask> take(std::deque<SessionTask>& tasks);
  void give_queued_tasks();

  const SessionPoolOptions options_;
  const OpenConnection open_;
  const Post post_;
  asio::io_context* const loop_;
  std::optional<LaterLooks> looks_;  // with a loop
  DeadlineWatch watch_;

  std::atomic<std::uint64_t> generation_ = 0;
  std::atomic<std::size_t> opening_ = 0;  // interactive branches that may yet tie a session

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<BranchId, Member*> tied_;
  std::deque<SessionTask> queue_;
  bool shut_down_ = false;

  std::mutex open_mutex_;
  Instant retry_at_{};
  Duration backoff_{};
  Error last_open_error_;
};

template <typename T>
void SessionPool::submit(Instant deadline, std::optional<BranchId> branch,
                         std::function<Result<T>(DatabaseConnection&)> run,
                         std::function<void(Result<T>, BackendFate)> done,
                         std::function<bool(DatabaseConnection&)> start) {
  auto found = std::make_shared<std::optional<Result<T>>>();
  submit(SessionTask{.run = [found, run = std::move(run)](
                                DatabaseConnection& connection) { found->emplace(run(connection)); },
                     .start = std::move(start),
                     .done =
                         [found, done = std::move(done)](Status status, BackendFate fate) {
                           if (!status.has_value()) {
                             done(std::unexpected(std::move(status.error())), fate);
                           } else {
                             done(std::move(**found), fate);
                           }
                         },
                     .deadline = deadline,
                     .branch = std::move(branch)});
}

}  // namespace troth::agent
