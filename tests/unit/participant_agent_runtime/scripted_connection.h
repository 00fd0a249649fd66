// A connection that an event loop can carry, and that does what a script says: what arrives, and in which condition it is
// left. It notes what was called, and on which thread. Runs under ThreadSanitizer.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

// Shared by the test and every connection that it opens.
class Script {
 public:
  void on_loop(std::thread::id loop) {
    const std::lock_guard lock(mutex_);
    loop_ = loop;
  }
  // In this order, one for each look; behind the last one all is well.
  void arrives(std::deque<Arrival> arrivals) {
    const std::lock_guard lock(mutex_);
    arrivals_ = std::move(arrivals);
  }
  void starts(bool starts) { set(starts_, starts); }
  // There is no input of what arrives.
  void arrives_unseen(bool unseen) { set(arrives_unseen_, unseen); }
  void cleans_up_on_loop(bool cleans) { set(cleans_up_on_loop_, cleans); }
  void is_left(ConnectionCondition condition) { set(left_, condition); }
  void cancels_itself(bool cancels) { set(cancels_itself_, cancels); }
  // On a thread: until there is input, which an interruption makes.
  void runs_until_asked_to_stop(bool runs) { set(runs_until_asked_to_stop_, runs); }
  // On a thread, as where the server says nothing more.
  void cleans_up_until_broken_off(bool hangs) { set(hangs_in_clean_up_, hangs); }

  // Something to read for the connection that stands.
  void input() {
    const std::lock_guard lock(mutex_);
    if (input_ >= 0) static_cast<void>(::write(input_, "x", 1));
  }

  // "start@loop run@loop", in the order of the calls.
  [[nodiscard]] std::string log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  void clear_log() {
    const std::lock_guard lock(mutex_);
    log_.clear();
  }

 private:
  friend class ScriptedConnection;

  template <typename T>
  void set(T& what, T value) {
    const std::lock_guard lock(mutex_);
    what = value;
  }
  void note(const std::string& what) {
    log_ += (log_.empty() ? "" : " ") + what + (std::this_thread::get_id() == loop_ ? "@loop" : "@thread");
  }

  mutable std::mutex mutex_;
  std::thread::id loop_;
  std::deque<Arrival> arrivals_;
  bool starts_ = true;
  bool arrives_unseen_ = false;
  bool cleans_up_on_loop_ = true;
  bool cancels_itself_ = false;
  bool hangs_in_clean_up_ = false;
  bool runs_until_asked_to_stop_ = false;
  bool broken_off_ = false;
  std::condition_variable broke_off_;
  ConnectionCondition left_ = ConnectionCondition::kIdle;
  std::string log_;
  int input_ = -1;
  std::uint64_t opened_ = 0;
};

class ScriptedConnection final : public DatabaseConnection {
 public:
  explicit ScriptedConnection(Script& script) : script_(script) {
    const std::lock_guard lock(script_.mutex_);
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) != 0) ends_[0] = ends_[1] = -1;
    script_.input_ = ends_[1];
    number_ = ++script_.opened_;
    script_.note("open");
  }
  ~ScriptedConnection() override {
    const std::lock_guard lock(script_.mutex_);
    script_.note("close");
    script_.input_ = -1;
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  DatabaseKind kind() const override { return DatabaseKind::kPostgres; }
  SessionIdentity session_identity() const override { return {.connection = {number_}, .server_start = {1}}; }
  std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }
  ConnectionCondition condition() const override { return condition_; }

  std::optional<int> descriptor() const override { return ends_[0]; }
  bool start_branch(const BranchWork& /*work*/) override {
    const std::lock_guard lock(script_.mutex_);
    script_.note("start");
    return script_.starts_;
  }
  Arrival arrived() override {
    const std::lock_guard lock(script_.mutex_);
    char byte = 0;
    static_cast<void>(::recv(ends_[0], &byte, 1, MSG_DONTWAIT));
    if (script_.arrivals_.empty()) return Arrival::kWell;
    const Arrival arrival = script_.arrivals_.front();
    script_.arrivals_.pop_front();
    return arrival;
  }
  bool arrives_unseen() const override {
    const std::lock_guard lock(script_.mutex_);
    return script_.arrives_unseen_ && !script_.arrivals_.empty();
  }
  WorkResult run_branch(const BranchWork& /*work*/) override {
    std::unique_lock lock(script_.mutex_);
    script_.note("run");
    if (script_.runs_until_asked_to_stop_ && std::this_thread::get_id() != script_.loop_) {
      pollfd input{.fd = ends_[0], .events = POLLIN, .revents = 0};
      lock.unlock();
      static_cast<void>(::poll(&input, 1, 10'000));
      lock.lock();
    }
    condition_ = script_.left_;
    if (script_.cancels_itself_) cancellation_->request();
    return {.outcome = Prepared{}, .results = {}, .session = session_identity()};
  }
  bool clean_up() override {
    std::unique_lock lock(script_.mutex_);
    script_.note("clean");
    if (script_.hangs_in_clean_up_ && std::this_thread::get_id() != script_.loop_) {
      script_.broke_off_.wait(lock, [&] { return script_.broken_off_; });
      return false;
    }
    return script_.cleans_up_on_loop_ || std::this_thread::get_id() != script_.loop_;
  }

  // Nobody asks for these.
  WorkResult run_statement(const BranchWork&, const OpenStatement&) override { return {}; }
  WorkResult prepare_open(const BranchWork&, bool, bool) override { return {}; }
  WorkResult roll_back_open(const BranchWork&) override { return {}; }
  Answer<void> release_held() override { return {}; }
  Answer<void> finish_prepared(const BranchId&, PreparedEnding) override { return {}; }
  Answer<std::vector<MarkerRow>> read_markers(const BranchId&, const std::optional<RequestKey>&) override {
    return {};
  }
  Answer<void> mark_resolved(const BranchId&) override { return {}; }
  Answer<void> insert_barrier(const BranchId&, EpochNumber, std::chrono::milliseconds) override { return {}; }
  Answer<void> insert_request_barrier(const RequestKey&, EpochNumber, std::chrono::milliseconds) override {
    return {};
  }
  Answer<PreparedList> list_prepared() override { return {}; }
  Answer<std::vector<RoleSession>> list_role_sessions() override { return {}; }
  Answer<bool> end_session(const SessionIdentity&) override { return true; }
  Answer<ServerRow> read_server(const std::string&) override { return {}; }
  Answer<bool> claim_owner(const OwnerRow&, const OwnerRow&) override { return true; }
  Answer<bool> raise_counter(const OwnerRow&, std::uint64_t) override { return true; }
  Answer<void> raise_floors(const ClusterId&, const Floors&) override { return {}; }
  Answer<std::uint64_t> delete_markers(const ClusterId&, const Floors&, std::uint32_t) override { return 0U; }
  Answer<void> run_texts(const Texts&) override { return {}; }
  Answer<TextRows> ask_texts(const Texts&) override { return {}; }

 private:
  class Asked final : public Cancellation {
   public:
    explicit Asked(Script& script) : script_(script) {}
    void interrupt() noexcept override { script_.input(); }
    void break_off() noexcept override {
      const std::lock_guard lock(script_.mutex_);
      script_.note("break_off");
      script_.broken_off_ = true;
      script_.broke_off_.notify_all();
    }

   private:
    Script& script_;
  };

  Script& script_;
  int ends_[2] = {-1, -1};
  std::uint64_t number_ = 0;
  ConnectionCondition condition_ = ConnectionCondition::kIdle;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Asked>(script_);
};

}  // namespace troth::agent
