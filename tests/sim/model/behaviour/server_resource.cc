#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "tests/sim/model/behaviour/resource.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/participant_agent_runtime/cutting_relay.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::sim {

using namespace agent;

namespace {

using namespace std::chrono_literals;

// Makes the call that a request stands for.
struct Caller {
  DatabaseConnection& connection;

  Reply operator()(const RunBranch& asked) { return connection.run_branch(asked.work); }
  Reply operator()(const RunStatement& asked) {
    return connection.run_statement(asked.work, asked.statement);
  }
  Reply operator()(const PrepareOpen& asked) {
    return connection.prepare_open(asked.work, asked.marked, asked.hold);
  }
  Reply operator()(const RollBackOpen& asked) { return connection.roll_back_open(asked.work); }
  Reply operator()(const ReleaseHeld&) { return connection.release_held(); }
  Reply operator()(const FinishPrepared& asked) {
    return connection.finish_prepared(asked.branch, asked.ending);
  }
  Reply operator()(const ReadMarkers& asked) { return connection.read_markers(asked.branch, asked.request); }
  Reply operator()(const MarkResolved& asked) { return connection.mark_resolved(asked.branch); }
  Reply operator()(const InsertBarrier& asked) {
    return connection.insert_barrier(asked.branch, asked.epoch, asked.wait);
  }
  Reply operator()(const InsertRequestBarrier& asked) {
    return connection.insert_request_barrier(asked.request, asked.epoch, asked.wait);
  }
  Reply operator()(const ListPrepared&) { return connection.list_prepared(); }
  Reply operator()(const ListRoleSessions&) { return connection.list_role_sessions(); }
  Reply operator()(const EndSession& asked) { return connection.end_session(asked.session); }
  Reply operator()(const ReadServer& asked) { return connection.read_server(asked.known_gtid); }
  Reply operator()(const ClaimOwner& asked) { return connection.claim_owner(asked.expected, asked.claimed); }
  Reply operator()(const RaiseCounter& asked) { return connection.raise_counter(asked.mine, asked.counter); }
  Reply operator()(const RaiseFloors& asked) { return connection.raise_floors(asked.cluster, asked.floors); }
  Reply operator()(const DeleteMarkers& asked) {
    return connection.delete_markers(asked.cluster, asked.floors, asked.limit);
  }
  Reply operator()(const CleanUp&) { return Answer<bool>(connection.clean_up()); }
};

// A database server that is started for one test; see own_server.py.
class OwnServer {
 public:
  OwnServer(DatabaseKind kind, bool binary_log)
      : process_({"tests/sim/model/behaviour/own_server.py", directory_.path(), std::string(name_of(kind)),
                  binary_log ? "with-binary-log" : "plain"}) {
    wait();
    orders_.open(directory_.file("orders"));
  }
  ~OwnServer() {
    orders_.close();
    EXPECT_EQ(process_.wait(), 0) << process_.errors();
  }
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  [[nodiscard]] std::string file() const { return directory_.file("servers/databases.json"); }
  void order(const std::string& word) {
    orders_ << word << "\n" << std::flush;
    wait();
  }

 private:
  void wait() {
    const std::string answer = fmt::format("done {}\n", answered_++);
    for (int patience = 0; patience < 6; ++patience)
      if (process_.wait_for_output(answer)) return;
    CHECK(false, "the server's process ended, or does nothing: {}", process_.errors());
  }

  TemporaryDirectory directory_;
  ChildProcess process_;
  std::ofstream orders_;
  int answered_ = 0;
};

class ServerResource final : public Resource {
 public:
  ServerResource(std::unique_ptr<TestResource> inside, std::unique_ptr<OwnServer> own)
      : own_(std::move(own)), inside_(std::move(inside)) {}

  DatabaseKind kind() const override { return inside_->kind(); }
  OwnerRow owner() const override { return inside_->owner(); }

  Connection connect(const Session& session) override {
    ConnectOptions options = inside_->options();
    options.settings.lock_wait_timeout = session.patience;
    options.settings.begin_had_to_wait = session.had_to_wait;
    if (!session.may_leave) return inside_->connect(options);
    auto relay = std::make_unique<CuttingRelay>(options.host, options.port);
    options.port = relay->port();
    Connection connection = inside_->connect(options);
    relays_.emplace(connection.get(), std::move(relay));
    return connection;
  }

  void leave(DatabaseConnection& connection, bool silently) override {
    CuttingRelay& relay = *relays_.at(&connection);
    if (silently) {
      relay.cut_silently();
    } else {
      relay.cut();
    }
  }

  std::future<Reply> start(DatabaseConnection& connection, Request request) override {
    return std::async(std::launch::async, [&connection, request = std::move(request)] {
      return std::visit(Caller{connection}, request);
    });
  }

  void wait_until_blocked(const SessionIdentity& session) override { inside_->wait_until_blocked(session); }
  void wait_until(const std::function<bool()>& holds) override {
    EXPECT_TRUE(holds_within(20s, holds)) << "it never holds";
  }
  void kill(const SessionIdentity& session) override { inside_->kill(session); }

  void wait_until_flushing(const SessionIdentity& session) override {
    const std::string query =
        is_postgres()
            ? fmt::format("SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'",
                          session.connection.value)
            : fmt::format(
                  "SELECT COUNT(*) FROM information_schema.processlist WHERE id = {} "
                  "AND command = 'Query'",
                  session.connection.value);
    wait_until([&] { return inside_->value(query) != "0"; });
  }

  void crash() override { do_to_server("crash"); }
  void back_up() override { do_to_server("back_up"); }
  void set_back() override { do_to_server("set_back"); }
  void promote() override { do_to_server("promote"); }
  void lose_durability() override { do_to_server("lose_durability"); }
  void become_read_only() override { do_to_server("become_read_only"); }
  void become_writable() override { do_to_server("become_writable"); }
  void slow_commits() override {
    if (is_postgres()) {
      // As long as it can be.
      inside_->run(
          fmt::format("ALTER ROLE {0} SET commit_delay = 100000; ALTER ROLE {0} SET commit_siblings = 0",
                      inside_->role()));
    } else {
      own_->order("slow_commits");
    }
  }

  std::string balance(std::int64_t account) override { return inside_->balance(static_cast<int>(account)); }
  std::string marker(const BranchId& branch) override { return inside_->marker(branch); }

  BranchWork work(std::vector<StatementWord> words, BranchEnding ending) override {
    std::vector<Statement> statements;
    for (const StatementWord& word : words)
      statements.push_back(write_out(kind(), word));
    BranchWork work = inside_->work(std::move(statements), ending);
    work.watch = &watch_;
    return work;
  }

 private:
  void do_to_server(const std::string& word) {
    own_->order(word);
    inside_->connect_administrator();
  }

  std::unique_ptr<OwnServer> own_;
  std::unique_ptr<TestResource> inside_;
  DeadlineWatch watch_{{.repeat_after = 50ms}};
  std::map<const DatabaseConnection*, std::unique_ptr<CuttingRelay>> relays_;
};

}  // namespace

std::unique_ptr<Resource> Resource::create(DatabaseKind kind, std::uint64_t /*seed*/) {
  std::unique_ptr<TestResource> inside = TestResource::create(kind);
  if (inside == nullptr) return nullptr;
  return std::make_unique<ServerResource>(std::move(inside), nullptr);
}

std::unique_ptr<Resource> Resource::create_with_server(DatabaseKind kind, std::uint64_t /*seed*/,
                                                       bool binary_log) {
  if (std::getenv("TROTH_TEST_DATABASES") == nullptr) return nullptr;
  auto own = std::make_unique<OwnServer>(kind, binary_log);
  std::unique_ptr<TestResource> inside = TestResource::create(kind, own->file());
  return std::make_unique<ServerResource>(std::move(inside), std::move(own));
}

int Resource::seeds() {
  return 1;
}

}  // namespace troth::sim
