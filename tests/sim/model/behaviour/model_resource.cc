#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/sim/model/behaviour/resource.h"
#include "tests/sim/model/model_connection.h"

namespace troth::sim {

using namespace agent;

namespace {

constexpr Instant kBegin = Instant(std::chrono::hours(1));
// What a test waits for, in virtual time.
constexpr Duration kPatience = std::chrono::seconds(20);
// What it takes to see that on a real server.
constexpr Duration kBlockedFor = std::chrono::milliseconds(150);
constexpr Duration kSlowSync = std::chrono::milliseconds(500);
const std::string kRole = "agent";

class ModelResource final : public Resource {
 public:
  ModelResource(DatabaseKind kind, std::uint64_t seed, bool binary_log) : kind_(kind) {
    ModelOptions options{.kind = kind, .accounts = {{1, 100}, {2, 100}, {3, 100}}, .binary_log = binary_log};
    timed_ = std::make_shared<TimedServer>(ModelServer(std::move(options), Random(seed), kBegin), kBegin);
    control_ = open({});
    const Answer<bool> claimed = control_->claim_owner({}, owner());
    CHECK(claimed.has_value() && *claimed, "the owner row could not be claimed");
  }

  DatabaseKind kind() const override { return kind_; }
  OwnerRow owner() const override {
    return {.agent = {"test-agent"}, .incarnation = {1}, .nonce = {7}, .counter = 0};
  }

  Connection connect(const Session& session) override {
    return open({.application_name = "troth-test",
                 .lock_wait_timeout = session.patience,
                 .begin_had_to_wait = session.had_to_wait});
  }

  std::future<Reply> start(DatabaseConnection& connection, Request request) override {
    auto& model = dynamic_cast<ModelConnection&>(connection);
    model.submit(std::move(request));
    return std::async(std::launch::deferred, [&model] { return model.await(); });
  }

  void leave(DatabaseConnection& connection, bool silently) override {
    auto& model = dynamic_cast<ModelConnection&>(connection);
    if (silently) timed_->server.cut(model.session(), timed_->now);
    model.cancellation()->break_off();
  }

  void wait_until_blocked(const SessionIdentity& session) override {
    wait_until([&] { return timed_->server.waits_for_lock(handle_of(session)); });
    timed_->now += kBlockedFor;
    timed_->server.advance(timed_->now);
  }
  void wait_until(const std::function<bool()>& holds) override {
    const Instant give_up = timed_->now + kPatience;
    while (!holds()) {
      if (timed_->now >= give_up || !run_on(*timed_)) {
        ADD_FAILURE() << "it never holds";
        return;
      }
    }
  }
  void kill(const SessionIdentity& session) override {
    const SessionHandle handle = handle_of(session);
    timed_->server.kill(handle, timed_->now);
    wait_until([&] { return !timed_->server.lives(handle); });
  }

  void wait_until_flushing(const SessionIdentity& session) override {
    wait_until([&] { return timed_->server.flushes(handle_of(session)); });
  }

  void crash() override {
    timed_->server.crash(timed_->now);
    start();
  }
  void back_up() override {
    copy_ = timed_->server.snapshot();
    crash();
  }
  void set_back() override {
    timed_->server.crash(timed_->now);
    timed_->server.set_back(copy_);
    start();
  }
  void promote() override {
    timed_->server.crash(timed_->now);
    timed_->server.promote(copy_);
    start();
  }
  void lose_durability() override { timed_->server.set_not_durable("a setting is off"); }
  void become_read_only() override {
    if (is_postgres()) {
      timed_->server.crash(timed_->now);
      start();
    }
    timed_->server.set_read_only(true);
  }
  void become_writable() override {
    if (is_postgres()) {
      timed_->server.become_primary();
    } else {
      timed_->server.set_read_only(false);
    }
  }
  void slow_commits() override { timed_->server.set_sync({.least = kSlowSync, .most = kSlowSync}); }

  std::string balance(std::int64_t account) override {
    return std::to_string(timed_->server.accounts().at(account));
  }
  std::string marker(const BranchId& branch) override {
    for (const MarkerRow& row : timed_->server.markers()) {
      if (row.transaction == branch.transaction.text() && row.branch == branch.branch)
        return std::string(name_of(row.state));
    }
    return "";
  }

  BranchWork work(std::vector<StatementWord> words, BranchEnding ending) override {
    BranchWork work;
    work.start.id = {.transaction = {.cluster = {"test-000001"},
                                     .epoch = {7},
                                     .sequence = {++last_sequence_},
                                     .one_phase = {}},
                     .branch = {1}};
    work.start.epoch = {7};
    for (const StatementWord& word : words)
      work.statements.push_back(write_out(kind_, word));
    work.ending = ending;
    work.mine = owner();
    return work;
  }

 private:
  void start() {
    timed_->now += std::chrono::seconds(5);
    timed_->server.start(timed_->now);
  }
  std::unique_ptr<ModelConnection> open(const SessionSettings& settings) {
    const Result<SessionHandle> session = timed_->server.open(kRole, settings, timed_->now);
    CHECK(session.has_value(), "{}", session.error().message);
    return std::make_unique<ModelConnection>(timed_, kind_, *session);
  }
  // The newest of that number: they start again with the server.
  SessionHandle handle_of(const SessionIdentity& identity) const {
    const std::optional<SessionHandle> found = timed_->server.find(identity);
    CHECK(found.has_value(), "no session {}", identity.connection.value);
    return *found;
  }

  const DatabaseKind kind_;
  std::shared_ptr<TimedServer> timed_;
  std::unique_ptr<ModelConnection> control_;
  std::uint64_t last_sequence_ = 0;
  Snapshot copy_;
};

}  // namespace

std::unique_ptr<Resource> Resource::create(DatabaseKind kind, std::uint64_t seed) {
  return std::make_unique<ModelResource>(kind, seed, false);
}

std::unique_ptr<Resource> Resource::create_with_server(DatabaseKind kind, std::uint64_t seed,
                                                       bool binary_log) {
  return std::make_unique<ModelResource>(kind, seed, binary_log);
}

int Resource::seeds() {
  return 3;
}

}  // namespace troth::sim
