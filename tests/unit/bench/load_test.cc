#include "bench/runtime/load.h"

#include <atomic>

#include <gtest/gtest.h>

namespace troth::bench {
namespace {

using std::chrono::milliseconds;

struct Ledger {
  std::atomic<std::int64_t> moved = 0;
  std::atomic<int> open = 0;
  std::atomic<int> calls = 0;
};

// Commits at once; from call `fails_at` on it fails.
class LedgerTeller final : public Teller {
 public:
  LedgerTeller(Ledger& ledger, int fails_at) : ledger_(ledger), fails_at_(fails_at) { ++ledger_.open; }
  ~LedgerTeller() override { --ledger_.open; }

  Result<int> transfer(const Transfer& transfer) override {
    if (++ledger_.calls >= fails_at_)
      return fail(ErrorCode::kInternal, Effect::kNone, "the vault is on fire");
    ledger_.moved += transfer.amount;
    return 1;
  }

 private:
  Ledger& ledger_;
  const int fails_at_;
};

constexpr int kNever = 1 << 30;

OpenTeller tellers_of(Ledger& ledger, int fails_at = kNever) {
  return [&ledger, fails_at](int) -> Result<std::unique_ptr<Teller>> {
    return std::make_unique<LedgerTeller>(ledger, fails_at);
  };
}

LoadOptions options_of(int clients, Duration length = milliseconds(20)) {
  return {.clients = clients, .length = length, .accounts = 10, .seed = 1};
}

TEST(Load, CountsEveryCentButMeasuresOnlyBehindTheWarmUp) {
  Ledger ledger;
  Load load(options_of(4), tellers_of(ledger));
  ASSERT_TRUE(load.warm_up());
  const int warm_calls = ledger.calls;
  EXPECT_GT(warm_calls, 0);
  const auto result = load.run();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->latencies.size(), static_cast<std::size_t>(ledger.calls - warm_calls));
  EXPECT_EQ(result->conflicts, result->latencies.size()) << "one for each, and none of the warm-up's";
  EXPECT_EQ(result->moved, ledger.moved);
  EXPECT_EQ(ledger.open, 0) << "every client has closed its sessions";
}

TEST(Load, EndsForAllWhenOneClientFails) {
  Ledger ledger;
  Load load(options_of(4, std::chrono::hours(1)), tellers_of(ledger, 1000));
  ASSERT_TRUE(load.warm_up());
  const auto result = load.run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the vault is on fire");
}

TEST(Load, SaysInTheWarmUpThatAClientCannotConnect) {
  Ledger ledger;
  const auto open = [&](int client) -> Result<std::unique_ptr<Teller>> {
    if (client == 2) return fail(ErrorCode::kUnavailable, Effect::kNone, "nobody listens");
    return std::make_unique<LedgerTeller>(ledger, kNever);
  };
  Load load(options_of(3), open);
  const Status warm = load.warm_up();
  ASSERT_FALSE(warm);
  EXPECT_EQ(warm.error().message, "nobody listens");
}

TEST(Load, LeavesNoClientBehindWhenItIsNeverRun) {
  Ledger ledger;
  {
    Load load(options_of(4, std::chrono::hours(1)), tellers_of(ledger));
    ASSERT_TRUE(load.warm_up());
    EXPECT_EQ(ledger.open, 4);
  }
  EXPECT_EQ(ledger.open, 0);
}

}  // namespace
}  // namespace troth::bench
