#include "participant_agent/runtime/carried_session.h"

#include <utility>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/runtime/later_looks.h"

namespace troth::agent {
namespace {

class Carrier final : public CarriedSession, public std::enable_shared_from_this<Carrier> {
 public:
  Carrier(asio::io_context& loop, Session& session, Session::Owner& owner, DeadlineWatch& watch,
          LaterLooks& looks, std::function<void()> free)
      : session_(session),
        owner_(owner),
        watch_(watch),
        looks_(looks),
        free_(std::move(free)),
        descriptor_(loop) {}
  ~Carrier() override { let_go(); }

  bool take(SessionTask& task) override {
    CHECK(!task_.has_value(), "a session carries one task at a time");
    if (!task.start || task.deadline <= boot_now()) return false;
    connection_ = session_.connection_for_loop();
    if (connection_ == nullptr || !task.start(*connection_)) return false;
    task_ = std::move(task);
    stage_ = Session::Stage::kStarted;
    ticket_ = watch_.watch(task_->deadline, connection_->cancellation());
    asio::error_code problem;
    if (connection_->has_sent()) descriptor_.assign(*connection_->descriptor(), problem);
    if (descriptor_.is_open()) {
      wait();
      if (connection_->arrives_unseen()) look_later();
    } else {
      hand_over();
    }
    return true;
  }

  void hand_over() override {
    if (!task_.has_value()) return;
    let_go();
    session_.give(*std::exchange(task_, std::nullopt), stage_);
  }

 private:
  void wait() {
    if (std::exchange(waits_, true)) return;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [weak = weak_from_this(), turn = turn_](const asio::error_code& problem) {
                             const auto self = weak.lock();
                             if (problem || self == nullptr || self->turn_ != turn) return;
                             self->waits_ = false;
                             self->on_input();
                           });
  }

  void look_later() {
    looks_.add([weak = weak_from_this(), turn = turn_] {
      const auto self = weak.lock();
      if (self == nullptr || self->turn_ != turn) return false;
      self->on_input();
      return self->turn_ == turn && self->connection_->arrives_unseen();
    });
  }

  void on_input() {
    for (;;) {
      switch (connection_->arrived()) {
        case Arrival::kMore: return wait();
        case Arrival::kIll: return hand_over();
        case Arrival::kWell: break;
      }
      if (stage_ == Session::Stage::kAnswered) return clean();
      if (!run()) return hand_over();
    }
  }

  // False: what is left is the thread's.
  bool run() {
    task_->run(*connection_);
    stage_ = Session::Stage::kRan;
    const ConnectionCondition condition = connection_->condition();
    if (condition != ConnectionCondition::kIdle) return false;
    owner_.ran(session_, task_->branch, condition);
    owner_.post([done = std::move(task_->done)] { done({}, BackendFate::kAlive); });
    stage_ = Session::Stage::kAnswered;
    return !connection_->cancellation()->requested();
  }

  void clean() {
    const bool clean = connection_->clean_up();
    forget_deadline();
    // A request that is under way may still reach it.
    if (!clean || connection_->cancellation()->requested()) return hand_over();
    session_.was_used();
    task_.reset();
    let_go();
    free_();
  }

  void forget_deadline() {
    if (ticket_.has_value()) watch_.forget(*std::exchange(ticket_, std::nullopt));
  }

  // The descriptor's number is the connection's, which may close it.
  void let_go() {
    ++turn_;
    waits_ = false;
    forget_deadline();
    if (descriptor_.is_open()) descriptor_.release();
  }

  Session& session_;
  Session::Owner& owner_;
  DeadlineWatch& watch_;
  LaterLooks& looks_;
  const std::function<void()> free_;
  asio::posix::stream_descriptor descriptor_;
  std::uint64_t turn_ = 0;  // what was waited for in an earlier one is of no interest
  bool waits_ = false;      // for input
  DatabaseConnection* connection_ = nullptr;
  std::optional<SessionTask> task_;
  std::optional<DeadlineWatch::Ticket> ticket_;
  Session::Stage stage_ = Session::Stage::kFresh;
};

}  // namespace

std::shared_ptr<CarriedSession> CarriedSession::make(asio::io_context& loop, Session& session,
                                                     Session::Owner& owner, DeadlineWatch& watch,
                                                     LaterLooks& looks, std::function<void()> free) {
  return std::make_shared<Carrier>(loop, session, owner, watch, looks, std::move(free));
}

}  // namespace troth::agent
