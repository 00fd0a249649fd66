// A crash between any two events of a branch's life: what was answered stands, and what was not is one of two things.
#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/model/every_kind.h"
#include "tests/sim/model/model_server.h"
#include "tests/sim/model/statement_words.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

class EveryCrash : public testing::TestWithParam<DatabaseKind> {
 protected:
  // One server and one session that is asked one thing, then crashed behind so many events.
  struct Life {
    explicit Life(DatabaseKind database) : kind(database), server(options(database), Random(5), now) {
      open();
    }

    static ModelOptions options(DatabaseKind database) { return {.kind = database, .accounts = {{1, 100}}}; }
    void open() { session = server.open("agent", {.lock_wait_timeout = 1s}, now).value(); }
    BranchWork work(BranchEnding ending) const {
      BranchWork work;
      work.start.id = {
          .transaction = {.cluster = {"test-000001"}, .epoch = {1}, .sequence = {1}, .one_phase = {}},
          .branch = {1}};
      work.statements.push_back(write_out(kind, AddToAccount{.amount = 5, .id = 1}));
      work.ending = ending;
      work.one_trip = one_trip;
      return work;
    }
    // False: nothing more happens.
    bool pass_an_event() {
      const std::optional<Instant> wakes_at = server.wakes_at();
      if (!wakes_at.has_value()) return false;
      now = std::max(now, *wakes_at);
      server.advance(now);
      return true;
    }
    // The answer, or nothing when the events were fewer.
    std::optional<Reply> ask(Request request, int events) {
      server.submit(session, std::move(request), now);
      for (int i = 0; i < events; ++i) {
        if (auto completion = server.take_completion(session); completion.has_value())
          return completion->reply;
        if (!pass_an_event()) break;
      }
      return std::nullopt;
    }
    void crash() {
      server.crash(now);
      static_cast<void>(server.take_completions());
      now += 5s;
      server.start(now);
      open();
    }
    [[nodiscard]] bool is_prepared() const { return !server.prepared().empty(); }
    [[nodiscard]] bool is_committed() const {
      const bool marked = !server.markers().empty();
      EXPECT_EQ(server.accounts().at(1), marked ? 105 : 100);
      return marked;
    }

    DatabaseKind kind;
    bool one_trip = true;
    Instant now = Instant(1h);
    ModelServer server;
    SessionHandle session;
  };
  static constexpr int kAll = 1'000;
};
TROTH_FOR_EVERY_KIND(EveryCrash);

TEST_P(EveryCrash, OfAPrepare) {
  for (const bool one_trip : {true, false}) {
    int prepared_unheard = 0;
    int gone = 0;
    for (int events = 0;; ++events) {
      Life life(GetParam());
      life.one_trip = one_trip;
      const std::optional<Reply> answer = life.ask(RunBranch{life.work(BranchEnding::kPrepare)}, events);
      life.crash();
      EXPECT_FALSE(life.is_committed()) << events;
      if (answer.has_value()) {
        EXPECT_TRUE(std::holds_alternative<Prepared>(std::get<WorkResult>(*answer).outcome));
        EXPECT_TRUE(life.is_prepared());
        break;
      }
      ++(life.is_prepared() ? prepared_unheard : gone);
    }
    EXPECT_GT(prepared_unheard, 0);
    EXPECT_GT(gone, 2);
  }
}

TEST_P(EveryCrash, OfACommitInOnePhase) {
  int committed_unheard = 0;
  int gone = 0;
  for (int events = 0;; ++events) {
    Life life(GetParam());
    const std::optional<Reply> answer = life.ask(RunBranch{life.work(BranchEnding::kCommitOnePhase)}, events);
    life.crash();
    EXPECT_FALSE(life.is_prepared()) << events;
    if (answer.has_value()) {
      EXPECT_TRUE(std::holds_alternative<CommittedOnePhase>(std::get<WorkResult>(*answer).outcome));
      EXPECT_TRUE(life.is_committed());
      break;
    }
    ++(life.is_committed() ? committed_unheard : gone);
  }
  EXPECT_GT(committed_unheard, 0);
  EXPECT_GT(gone, 2);
}

TEST_P(EveryCrash, OfTheEndOfAPreparedBranch) {
  for (const PreparedEnding ending : {PreparedEnding::kCommit, PreparedEnding::kRollBack}) {
    const bool commits = ending == PreparedEnding::kCommit;
    int ended_unheard = 0;
    int still_prepared = 0;
    for (int events = 0;; ++events) {
      Life life(GetParam());
      const BranchWork work = life.work(BranchEnding::kPrepare);
      ASSERT_TRUE(life.ask(RunBranch{work}, kAll).has_value());
      const std::optional<Reply> answer = life.ask(FinishPrepared{work.start.id, ending}, events);
      life.crash();
      const bool ended = !life.is_prepared();
      EXPECT_EQ(life.is_committed(), ended && commits) << events;
      if (answer.has_value()) {
        EXPECT_TRUE(std::get<Answer<void>>(*answer).has_value());
        EXPECT_TRUE(ended);
        break;
      }
      ++(ended ? ended_unheard : still_prepared);
      if (ended) continue;
      // Whoever comes then ends it, and it is a crash like any other.
      ASSERT_TRUE(life.ask(FinishPrepared{work.start.id, ending}, kAll).has_value());
      EXPECT_EQ(life.is_committed(), commits);
    }
    EXPECT_GT(ended_unheard, 0);
    EXPECT_GT(still_prepared, 1);
  }
}

TEST_P(EveryCrash, OfABarrier) {
  int barred_unheard = 0;
  int gone = 0;
  for (int events = 0;; ++events) {
    Life life(GetParam());
    const BranchWork work = life.work(BranchEnding::kPrepare);
    const std::optional<Reply> answer = life.ask(InsertBarrier{work.start.id, {1}, 50ms}, events);
    life.crash();
    const bool barred = !life.server.markers().empty();
    const std::optional<Reply> late = life.ask(RunBranch{work}, kAll);
    ASSERT_TRUE(late.has_value());
    EXPECT_EQ(std::holds_alternative<MarkerTaken>(std::get<WorkResult>(*late).outcome), barred) << events;
    if (answer.has_value()) {
      EXPECT_TRUE(barred);
      break;
    }
    ++(barred ? barred_unheard : gone);
  }
  EXPECT_GT(barred_unheard, 0);
  EXPECT_GT(gone, 1);
}

}  // namespace
}  // namespace troth::sim
