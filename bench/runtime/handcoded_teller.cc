#include "bench/runtime/handcoded_teller.h"

#include <exception>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "bench/runtime/mysql_session.h"
#include "bench/runtime/postgres_session.h"

namespace troth::bench {
namespace {

class HandcodedTeller final : public Teller {
 public:
  HandcodedTeller(const Stage& stage, std::string name)
      : name_(std::move(name)), postgres_(stage.postgres), mysql_(stage.mysql) {}

  Result<int> transfer(const Transfer& transfer) override {
    try {
      for (int conflicts = 0; conflicts <= kMostConflicts; ++conflicts)
        if (attempt(transfer)) return conflicts;
    } catch (const std::exception& error) {
      return fail(ErrorCode::kUnavailable, Effect::kUnknown,
                  fmt::format("hand-coded client {}: {}", name_, error.what()));
    }
    return fail(ErrorCode::kConflict, Effect::kNone,
                fmt::format("hand-coded client {}: {} conflicts in a row", name_, kMostConflicts));
  }

 private:
  // False: another transfer held a row, and nothing of this attempt stands.
  bool attempt(const Transfer& transfer) {
    const std::string id = fmt::format("{}-{}", name_, ++attempts_);
    if (postgres_.prepare(id, transfer.postgres_account, transfer.amount) == BranchWork::kConflict)
      return false;
    if (mysql_.prepare(id, transfer.mysql_account, -transfer.amount) == BranchWork::kConflict) {
      postgres_.rollback_prepared(id);
      return false;
    }
    postgres_.commit_prepared(id);
    mysql_.commit_prepared(id);
    return true;
  }

  const std::string name_;
  PostgresSession postgres_;
  MysqlSession mysql_;
  std::uint64_t attempts_ = 0;
};

}  // namespace

Result<std::unique_ptr<Teller>> open_handcoded_teller(const Stage& stage, int run, int client) {
  const std::string name = fmt::format("bench-{}-{}-{}", ::getpid(), run, client);
  try {
    return std::make_unique<HandcodedTeller>(stage, name);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                fmt::format("hand-coded client {} cannot connect: {}", name, error.what()));
  }
}

}  // namespace troth::bench
