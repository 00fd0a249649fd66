#include "coordinator/decision_store/local_engine.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/unit/coordinator/store_conformance.h"

namespace troth::coordinator::store {
namespace {

// The local engine on a log that is a vector: what is behind `durable_` survives every crash.
class EngineOnAVector : public StoreUnderTest {
 public:
  EngineOnAVector() { start(); }

  Ticket ask(Request request) override {
    const Ticket ticket{++last_ticket_};
    carry_out(engine_->step(Asked{ticket, std::move(request)}));
    return ticket;
  }
  void settle() override {
    durable_ = log_.size();
    carry_out(engine_->step(LocalEngine::WritesDurable{{first_ + durable_ - 1}}));
  }
  std::optional<StoreAnswer> answer(Ticket ticket) override {
    const auto at = answers_.find(ticket);
    return at == answers_.end() ? std::nullopt : std::optional{at->second};
  }
  void crash(std::size_t surviving) override {
    log_.resize(std::min(durable_ + surviving, log_.size()));
    durable_ = log_.size();
    start();
  }

  void fail(Error reason) { carry_out(engine_->step(LocalEngine::WriteFailed{std::move(reason)})); }

  // Copies forward what lives in the log's first `records`, which go as soon as the engine says so.
  void clean(std::size_t records) {
    carry_out(engine_->step(LocalEngine::CleaningRequested{{first_ + records}}));
  }
  void clean() { clean(log_.size()); }

  [[nodiscard]] std::size_t log_size() const { return log_.size(); }
  [[nodiscard]] Counts counts() const { return engine_->records().counts(); }

 private:
  void start() {
    engine_.emplace();
    for (std::size_t i = 0; i < log_.size(); ++i) {
      const auto status = engine_->restore(log_[i], {first_ + i});
      ASSERT_TRUE(status) << status.error().message;
    }
    const auto status = engine_->opened({first_ + log_.size()});
    ASSERT_TRUE(status) << status.error().message;
  }

  void carry_out(std::vector<LocalEngine::Effect> effects) {
    for (auto& effect : effects) {
      if (auto* append = std::get_if<LocalEngine::Append>(&effect)) {
        ASSERT_EQ(append->number.value, first_ + log_.size());
        log_.push_back(std::move(append->record));
      } else if (auto* answered = std::get_if<Answered>(&effect)) {
        ASSERT_TRUE(answers_.emplace(answered->ticket, std::move(answered->answer)).second)
            << "answered twice";
      } else if (std::holds_alternative<LocalEngine::ContinueCleaning>(effect)) {
        carry_out(engine_->step(LocalEngine::CleaningContinued{}));
      } else {
        const auto cut = std::get<LocalEngine::CutBelow>(effect).cut.value;
        log_.erase(log_.begin(), log_.begin() + static_cast<std::ptrdiff_t>(cut - first_));
        durable_ -= cut - first_;
        first_ = cut;
      }
    }
  }

  std::uint64_t first_ = 1;  // the number of log_[0]
  std::vector<LogRecord> log_;
  std::size_t durable_ = 0;
  std::optional<LocalEngine> engine_;
  std::uint64_t last_ticket_ = 0;
  std::map<Ticket, StoreAnswer> answers_;
};

const StoreKind kOnAVector{"OnAVector", [] { return std::make_unique<EngineOnAVector>(); }};
INSTANTIATE_TEST_SUITE_P(LocalEngine, StoreConformance, testing::Values(kOnAVector), name_of_kind);
INSTANTIATE_TEST_SUITE_P(LocalEngine, StoreThatLosesWrites, testing::Values(kOnAVector), name_of_kind);

class LocalEngineOnly : public StoreConformance {
 protected:
  EngineOnAVector& local() { return static_cast<EngineOnAVector&>(*store_); }
};
INSTANTIATE_TEST_SUITE_P(LocalEngine, LocalEngineOnly, testing::Values(kOnAVector), name_of_kind);

// [S6] A failed write leaves everything unknown, never refused: some of it may be on the disk.
TEST_P(LocalEngineOnly, AFailedWriteMakesAllThatWaitsAndAllThatComesUnknown) {
  const auto epoch = reign();
  const auto waiting = store_->ask(Choose{epoch.number, commit(id(epoch, 1))});
  local().fail(fail(ErrorCode::kIo, Effect::kNone, "fdatasync: Input/output error").error());
  const auto unknown = take<Unknown>(waiting);
  EXPECT_EQ(unknown.reason.code, ErrorCode::kIo);
  EXPECT_EQ(unknown.reason.effect, Effect::kUnknown);
  take<Unknown>(store_->ask(Lookup{id(epoch, 1)}));
  take<Unknown>(store_->ask(Choose{epoch.number, commit(id(epoch, 2))}));
  store_->crash(1);
  EXPECT_TRUE(get<Found>(Lookup{id(epoch, 1)}).decision) << "it was on the disk after all";
}

TEST_P(LocalEngineOnly, ALookupThatFindsNothingDoesNotWaitForOthersWrites) {
  const auto epoch = reign();
  store_->ask(Choose{epoch.number, commit(id(epoch, 1))});
  EXPECT_TRUE(store_->answer(store_->ask(Lookup{key(5)})));
}

TEST_P(LocalEngineOnly, CleaningKeepsEverythingThatLivesAndNothingElse) {
  const auto epoch = reign();
  const ResourceRecord accounts{{"accounts"}, {1}, "postgres", "sys-1", {"a"}, {1}, "127.0.0.1:1"};
  get<ResourceRegistered>(RegisterResource{epoch.number, accounts});
  for (std::uint64_t i = 1; i <= 100; ++i)
    get<Won>(Choose{epoch.number, commit(id(epoch, i), key(i))});
  for (std::uint64_t i = 1; i <= 90; ++i)
    get<EndRecorded>(End{epoch.number, {{id(epoch, i), wall(1), i % 2 == 0}}});
  get<Won>(Choose{epoch.number, BarredRecord{key(500), wall(0)}});
  get<Resolved>(Resolve{epoch.number, {id(epoch, 95), {1}, {"accounts"}, true, "why", "ann", wall(1)}});
  get<FloorsRaised>(RaiseFloors{epoch.number, {{epoch.number, {80}}, 80}});
  const auto before = local().log_size();
  const auto counts = local().counts();
  local().clean();
  store_->settle();
  EXPECT_LT(local().log_size(), before / 2);
  store_->crash(0);
  EXPECT_EQ(local().counts(), counts);
  for (std::uint64_t i = 80; i <= 100; ++i)
    EXPECT_EQ(get<Found>(Lookup{key(i)}).decision->ended.has_value(), i <= 90) << i;
  EXPECT_EQ(get<Found>(Lookup{id(epoch, 95)}).decision->resolutions.size(), 1U);
  EXPECT_TRUE(get<Found>(Lookup{key(500)}).barred);
  const auto acquired = get<EpochAcquired>(AcquireEpoch{{1}, wall(0), {}});
  EXPECT_EQ(acquired.resources, std::vector{accounts});
  EXPECT_GT(acquired.epoch.number, epoch.number);
  EXPECT_EQ(acquired.floors.request_ms, 80U);
}

// Decision in the segment that goes, end in one that stays: the copy is made for the older of the two.
TEST_P(LocalEngineOnly, CleaningCopiesADecisionWhoseEndIsNewer) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  const auto behind_the_decision = local().log_size();
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(1), false}}});
  local().clean(behind_the_decision);
  store_->settle();
  store_->crash(0);
  EXPECT_TRUE(get<Found>(Lookup{id(epoch, 1)}).decision->ended);
}

TEST_P(LocalEngineOnly, ACrashAmidCleaningLeavesCopiesThatReplayTakesAsOne) {
  const auto epoch = reign();
  for (std::uint64_t i = 1; i <= 20; ++i)
    get<Won>(Choose{epoch.number, commit(id(epoch, i), key(i))});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 3), wall(1), false}}});
  for (std::size_t surviving = 0; surviving < 25; ++surviving) {
    local().clean();  // nothing of it is durable yet, so nothing is cut
    store_->crash(surviving);
    EXPECT_EQ(local().counts(), (Counts{19, 1, 0})) << surviving;
    EXPECT_TRUE(get<Found>(Lookup{id(epoch, 3)}).decision->ended);
  }
  local().clean();
  store_->settle();
  store_->crash(0);
  EXPECT_EQ(local().counts(), (Counts{19, 1, 0}));
}

TEST(RecordTableReplay, RefusesALogThatContradictsItself) {
  const TransactionId id{{"bank-x7k2p9"}, {1}, {1}, std::nullopt};
  auto other = id;
  other.sequence = {2};
  const RequestKey key{"teller", {}};
  const CommitRecord commit{id, {}, key, {}, {}, ""};
  const std::vector<std::vector<LogRecord>> logs{
      {commit, AbortRecord{id, {}, "no"}},                                 // two decisions
      {commit, CommitRecord{other, {}, key, {}, {}, ""}},                  // one request, two commits
      {commit, BarredRecord{key, {}}},                                     // committed and barred
      {BarredRecord{key, {}}, commit},                                     //
      {EndedRecord{id, {}, false}},                                        // ended, never decided
      {EpochRecord{{{1}, {5}}, {}, {}}, EpochRecord{{{1}, {6}}, {}, {}}},  // one epoch, two nonces
      {ResourceRecord{{"a"}, {1}, "", "", {}, {}, ""}, ResourceRecord{{"a"}, {2}, "", "", {}, {}, ""}},
  };
  for (std::size_t n = 0; n < logs.size(); ++n) {
    LocalEngine engine;
    std::optional<Error> refusal;
    std::uint64_t number = 0;
    for (const auto& record : logs[n])
      if (const auto status = engine.restore(record, {++number}); !status) refusal = status.error();
    if (const auto status = engine.opened({number + 1}); !status) refusal = status.error();
    ASSERT_TRUE(refusal) << "log " << n;
    EXPECT_EQ(refusal->code, ErrorCode::kCorrupt) << "log " << n;
  }
}

}  // namespace
}  // namespace troth::coordinator::store
