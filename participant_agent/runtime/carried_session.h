// participant_agent/runtime/carried_session.h
//
// A session's task as the event loop carries it: started, its answer waited for beside everything else, no thread woken.
//
//   take() --started--> running --arrived well--> answered --cleaned--> free: the next task
//                          |                          |
//                          '------- anything else ----'--> the session's thread goes on from there
//
// So the loop sees only what goes well and does not wait; every refusal, loss and clean-up is the thread's, in the code
// that tasks run in which the loop never saw.
//
// Threads: the loop's only. Held by shared pointer; what still comes from the loop after it is gone does nothing.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "participant_agent/runtime/deadline_watch.h"
#include "participant_agent/runtime/session.h"

namespace asio {
class io_context;
}

namespace troth::agent {

class LaterLooks;

class CarriedSession {
 public:
  // `free` is called when a task has ended here.
  static std::shared_ptr<CarriedSession> make(asio::io_context& loop, Session& session, Session::Owner& owner,
                                              DeadlineWatch& watch, LaterLooks& looks,
                                              std::function<void()> free);
  virtual ~CarriedSession() = default;

  // The session is busy with this task, and its thread has none. False: `task` is as it was, and for the thread.
  [[nodiscard]] virtual bool take(SessionTask& task) = 0;
  // Hands what it carries to the thread.
  virtual void hand_over() = 0;
};

}  // namespace troth::agent
