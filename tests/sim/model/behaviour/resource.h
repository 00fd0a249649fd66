// tests/sim/model/behaviour/resource.h
//
// A resource of its own for one test of how databases behave, in a model server or in a real one. The same tests are
// linked with either (model_resource.cc, server_resource.cc), so that the model says what the servers say. Where they
// differ, the server is right.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "participant_agent/runtime/database_connection.h"
#include "tests/sim/model/requests.h"
#include "tests/sim/model/statement_words.h"

namespace troth::sim {

using Connection = std::unique_ptr<agent::DatabaseConnection>;

// Accounts 1, 2 and 3 hold 100 each; the owner row is claimed.
class Resource {
 public:
  // Null: no server of this kind can be used.
  static std::unique_ptr<Resource> create(agent::DatabaseKind kind, std::uint64_t seed);
  // On a server that nobody else uses, for what is done to a whole server.
  // `binary_log`: MariaDB's, which MySQL always has.
  static std::unique_ptr<Resource> create_with_server(agent::DatabaseKind kind, std::uint64_t seed,
                                                      bool binary_log);
  // How many are worth a try: a real server takes its own time.
  [[nodiscard]] static int seeds();
  virtual ~Resource() = default;

  [[nodiscard]] virtual agent::DatabaseKind kind() const = 0;
  [[nodiscard]] bool is_postgres() const { return kind() == agent::DatabaseKind::kPostgres; }
  [[nodiscard]] bool ties() const { return kind() == agent::DatabaseKind::kMariadb; }
  [[nodiscard]] virtual agent::OwnerRow owner() const = 0;

  // `patience`: how long a session of MySQL or MariaDB waits for a lock. `had_to_wait`: SessionSettings.
  struct Session {
    std::chrono::milliseconds patience = std::chrono::seconds(1);
    std::chrono::milliseconds had_to_wait{20};
    bool may_leave = false;  // for leave()
  };
  [[nodiscard]] virtual Connection connect(const Session& session) = 0;
  [[nodiscard]] Connection connect() { return connect(Session()); }
  // Asks, and goes on meanwhile; get() waits for the answer. The connection is used by nobody else until then.
  [[nodiscard]] virtual std::future<Reply> start(agent::DatabaseConnection& connection, Request request) = 0;
  template <typename Answered>
  [[nodiscard]] static Answered get(std::future<Reply>& started) {
    return std::get<Answered>(started.get());
  }
  // Cuts the client off: it finds its session lost. With `silently` the server never hears of it, else when it next
  // reads.
  virtual void leave(agent::DatabaseConnection& connection, bool silently) = 0;
  // Waits until the session waits for a lock, and has waited long enough to be taken for one that did; fails the test if
  // it never does.
  virtual void wait_until_blocked(const agent::SessionIdentity& session) = 0;
  // Waits until it holds, or fails the test.
  virtual void wait_until(const std::function<bool()>& holds) = 0;
  // Ends the session as a DBA would, and waits until it is gone.
  virtual void kill(const agent::SessionIdentity& session) = 0;

  // Waits until the session waits for the disk, as far as that can be seen: behind slow_commits().
  virtual void wait_until_flushing(const agent::SessionIdentity& session) = 0;

  // ---- Of a server of its own
  // Loses every session.
  virtual void crash() = 0;
  // Takes the copy of its disk that set_back() goes back to. Both lose every session.
  virtual void back_up() = 0;
  virtual void set_back() = 0;
  // Instead of the server, a standby that has what the copy has. Not of MariaDB, which a copy does not rename.
  virtual void promote() = 0;
  // A setting is changed, so that what it acknowledges may be lost.
  virtual void lose_durability() = 0;
  // Postgres: as a standby, which loses every session; and promoted.
  virtual void become_read_only() = 0;
  virtual void become_writable() = 0;
  // What makes a commit durable takes so long that one can look at it. Of sessions that are opened behind it.
  virtual void slow_commits() = 0;

  // As everybody sees it.
  [[nodiscard]] virtual std::string balance(std::int64_t account) = 0;
  [[nodiscard]] virtual std::string marker(const BranchId& branch) = 0;

  // A branch of a new transaction.
  [[nodiscard]] virtual agent::BranchWork work(
      std::vector<StatementWord> words, agent::BranchEnding ending = agent::BranchEnding::kPrepare) = 0;
  [[nodiscard]] agent::BranchWork add(std::int64_t account, std::int64_t amount,
                                      agent::BranchEnding ending = agent::BranchEnding::kPrepare) {
    return work({AddToAccount{.amount = amount, .id = account}}, ending);
  }
  [[nodiscard]] agent::OpenStatement open_statement(const StatementWord& word, std::uint32_t number,
                                                    bool marks) const {
    return {.statement = write_out(kind(), word), .number = number, .first = number == 1, .marks = marks};
  }
};

struct Case {
  agent::DatabaseKind kind = agent::DatabaseKind::kPostgres;
  int seed = 0;
};
[[nodiscard]] std::string text_of(const Case& one);
// GoogleTest prints a parameter with this.
inline void PrintTo(const Case& one, std::ostream* out) {
  *out << text_of(one);
}
[[nodiscard]] std::vector<Case> cases_of(const std::vector<agent::DatabaseKind>& kinds);

class BehaviourTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    resource_ = Resource::create(GetParam().kind, static_cast<std::uint64_t>(GetParam().seed));
    if (resource_ == nullptr) {
      GTEST_SKIP() << "no " << name_of(GetParam().kind)
                   << " server: see tests/README.md, TROTH_TEST_DATABASES";
    }
  }
  [[nodiscard]] Resource& resource() { return *resource_; }

  std::unique_ptr<Resource> resource_;
};

class ServerBehaviourTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    resource_ = Resource::create_with_server(GetParam().kind, static_cast<std::uint64_t>(GetParam().seed),
                                             binary_log_);
    if (resource_ == nullptr) GTEST_SKIP() << "no servers: see tests/README.md, TROTH_TEST_DATABASES";
  }
  [[nodiscard]] Resource& resource() { return *resource_; }

  bool binary_log_ = false;
  std::unique_ptr<Resource> resource_;
};

// On these kinds only, where the others have nothing to show.
#define TROTH_BEHAVES_ON(suite, ...)                                                 \
  INSTANTIATE_TEST_SUITE_P(Kinds, suite, testing::ValuesIn(cases_of({__VA_ARGS__})), \
                           [](const auto& one) { return text_of(one.param); })
#define TROTH_BEHAVES(suite)                                                           \
  TROTH_BEHAVES_ON(suite, agent::DatabaseKind::kPostgres, agent::DatabaseKind::kMysql, \
                   agent::DatabaseKind::kMariadb)

// What a result came to, for messages.
[[nodiscard]] std::string describe(const agent::WorkResult& result);

template <typename Outcome>
[[nodiscard]] testing::AssertionResult ended_as(const agent::WorkResult& result) {
  if (std::holds_alternative<Outcome>(result.outcome)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << describe(result);
}
// The code of a refusal; kInternal where the result is none.
[[nodiscard]] ErrorCode code_of(const agent::WorkResult& result);
// Done, or the meaning of the refusal, in words.
template <typename T>
[[nodiscard]] std::string outcome_of(const agent::Answer<T>& answer) {
  return answer.has_value() ? "done" : std::string(agent::name_of(answer.error().meaning));
}
// Is the branch in the list of prepared ones?
[[nodiscard]] bool lists(agent::DatabaseConnection& connection, const BranchId& branch);

}  // namespace troth::sim
