// Clients that ask for everything at once, twice and again, while servers stop, fall and come back, and
// sessions are lost in the middle of a commit. Afterwards each database holds exactly what was committed, each
// request committed at most once, and what the clients were told is true. Runs under ThreadSanitizer.
#include <algorithm>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/ledger.h"
#include "tests/unit/commit_path/world.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using wire::TransactionState;

constexpr int kClients = 4;
constexpr int kRounds = 12;          // of stops and falls
constexpr std::size_t kLeast = 150;  // requests with an outcome, between the first fall and the last

struct Counts {
  std::atomic<std::size_t> doubled = 0;  // told the same twice
  std::atomic<std::size_t> retried = 0;  // after an unknown answer, and then told
  std::atomic<std::size_t> barred = 0;
  std::atomic<std::size_t> one_phase = 0;
  std::atomic<std::size_t> late = 0;    // past their deadline
  std::atomic<std::size_t> talked = 0;  // committed statement by statement
};

// What a service does, with a request of a random shape each time.
class Client {
 public:
  Client(World& world, Ledger& ledger, Counts& counts, int number)
      : world_(world),
        ledger_(ledger),
        counts_(counts),
        random_(static_cast<std::uint64_t>(number) + 1),
        teller_(world.address(), number % 2 == 0 ? rpc::Encoding::kBinary : rpc::Encoding::kCompact),
        second_(world.address()) {}

  void run(const std::atomic<bool>& enough) {
    while (!enough)
      one_request();
  }

 private:
  void one_request() {
    const auto parts = parts_of_some_shape();
    const bool blocks = std::ranges::any_of(parts, [](const auto& p) { return p.sql == kBlock; });
    const auto acknowledgement =
        random_.one_in(2) ? wire::Acknowledgement::DECIDED : wire::Acknowledgement::APPLIED;
    const auto request =
        request_of(parts, fresh_request_id(), acknowledgement, blocks ? Duration(200ms) : Duration(5s));
    std::set<std::string> writes;
    for (const auto& part : parts)
      if (!part.read_only) writes.insert(part.resource);
    ledger_.asked(request.request_id, writes);
    if (random_.one_in(3)) return converse(request, writes);
    if (writes.size() == 1 && parts.size() == 1) ++counts_.one_phase;

    for (int attempt = 0; attempt < 6; ++attempt) {
      const bool doubled = random_.one_in(4);
      teller_.begin(request, 6s);
      if (doubled) {
        teller_.begin(request, 6s);
        second_.begin(request, 6s);
        second_.send();
      }
      auto answers = teller_.finish();
      for (auto& answer : second_.finish())
        answers.push_back(std::move(answer));
      if (take(request, answers, attempt)) return;
      if (random_.one_in(3) && bars(request, writes)) return;
    }
  }

  void converse(const wire::ExecuteRequest& request, const std::set<std::string>& writes) {
    for (int attempt = 0; attempt < 6; ++attempt) {
      const auto answer = teller_.converse(request, 6s);
      if (answer) ++counts_.talked;
      if (take(request, {answer}, attempt)) return;
      if (random_.one_in(3) && bars(request, writes)) return;
    }
  }

  // Whether its outcome is known now.
  bool take(const wire::ExecuteRequest& request, const std::vector<Teller::Executed>& answers, int attempt) {
    const auto committed = std::ranges::count_if(answers, [](const auto& a) { return a.has_value(); });
    if (committed > 0) {
      for (const auto& answer : answers)
        if (answer) ledger_.told_committed(request.request_id, answer->transaction_id);
      if (committed > 1) ++counts_.doubled;
      if (attempt > 0) ++counts_.retried;
      check_status(*std::ranges::find_if(answers, [](const auto& a) { return a.has_value(); }));
      return true;
    }
    for (const auto& answer : answers)
      if (answer.error().code == ErrorCode::kTimeout) ++counts_.late;
    const bool nowhere =
        std::ranges::all_of(answers, [](const auto& a) { return a.error().effect == Effect::kNone; });
    // What the channel says of a call that did not leave it says nothing of those that did; it names the server.
    const auto address = world_.address().text();
    const bool sent = attempt == 0 || std::ranges::none_of(answers, [&](const auto& a) {
                        return a.error().message.find(address) != std::string::npos;
                      });
    if (!nowhere || !sent) return false;
    std::string words = "attempt " + std::to_string(attempt);
    for (const auto& answer : answers)
      words += ", " + answer.error().message;
    ledger_.told_never(request.request_id, words);
    if (attempt > 0) ++counts_.retried;
    return true;
  }

  // What was told once is told again, or cannot be told now; never the opposite.
  void check_status(const Teller::Executed& executed) {
    if (!random_.one_in(3)) return;
    const auto status = teller_.status_of(executed->transaction_id);
    if (!status) return;
    EXPECT_TRUE(status->state == TransactionState::COMMITTED || status->state == TransactionState::UNKNOWN ||
                is_read_only(*executed))
        << executed->transaction_id << " is told to be " << wire::to_string(status->state);
  }
  // It leaves no record, so that a later reign presumes it aborted; nothing stands either way.
  static bool is_read_only(const wire::ExecuteResult& result) {
    return result.transaction_id.find(".s") == std::string::npos && result.pending_resources.empty() &&
           result.acknowledged == wire::Acknowledgement::APPLIED && !result.already_committed;
  }

  bool bars(const wire::ExecuteRequest& request, const std::set<std::string>& writes) {
    const auto status = teller_.bar(request.request_id, {writes.begin(), writes.end()});
    if (!status) return false;
    if (status->state == TransactionState::COMMITTED) {
      ledger_.told_committed(request.request_id, status->transaction_id);
      return true;
    }
    if (status->state != TransactionState::NOT_COMMITTED) return false;
    ++counts_.barred;
    ledger_.told_never(request.request_id, "barred");
    return true;
  }

  std::vector<Part> parts_of_some_shape() {
    std::vector<std::string> resources = {"till", "vault", "ledger"};
    for (std::size_t i = resources.size(); i > 1; --i)
      std::swap(resources[i - 1], resources[random_.below(i)]);
    resources.resize(1 + random_.below(3));
    std::vector<Part> parts;
    for (const auto& resource : resources)
      parts.push_back({resource, kWork});
    auto& some = parts[random_.below(parts.size())];
    if (random_.one_in(5)) {
      some.read_only = true;
      some.sql = kRead;
    } else if (random_.one_in(8)) {
      some.sql = kRefuse;
    } else if (random_.one_in(12)) {
      some.sql = kBlock;
    }
    return parts;
  }

  const World& world_;
  Ledger& ledger_;
  Counts& counts_;
  Random random_;
  Teller teller_;
  Teller second_;
};

class Storm : public testing::Test {
 protected:
  // One server goes, and comes back; every kind of going in its turn.
  void one_fall(int round) {
    const auto let_work = [&] {
      const auto before = ledger_.committed();
      EXPECT_TRUE(holds_within(20s, [&] { return ledger_.committed() > before + kLeast / kRounds; }))
          << "in round " << round;
    };
    switch (round % 6) {
      case 0:
        world_.left().drop();
        world_.left().start();
        break;
      case 1:
        world_.coordinator().drop();
        world_.coordinator().start();
        break;
      case 2:
        EXPECT_TRUE(world_.right().stop().has_value());
        world_.right().start();
        break;
      case 3:
        EXPECT_TRUE(world_.coordinator().stop().has_value());
        world_.coordinator().start();
        break;
      case 4:
        files_.stop();
        world_.coordinator().drop();
        files_.resume_after_power_cut();
        world_.right().drop();
        world_.coordinator().start();
        world_.right().start();
        break;
      default: {
        EXPECT_TRUE(world_.left().stop().has_value());
        EXPECT_TRUE(world_.coordinator().stop().has_value());
        world_.coordinator().start();
        world_.left().start();
        break;
      }
    }
    EXPECT_TRUE(holds_within(20s, [&] { return world_.serves(); })) << "in round " << round;
    let_work();
  }

  // Whatever is still open for a client is found out as a client would.
  void settle_what_was_not_told() {
    Teller teller(world_.address());
    std::string words;
    for (const auto& request : ledger_.untold()) {
      EXPECT_TRUE(holds_within(20s, [&] { return settles(teller, request, words); }))
          << request << " stays unknown: " << words << "; " << world_.what_is_left();
    }
  }
  bool settles(Teller& teller, const std::string& request, std::string& words) {
    const auto status = teller.bar(request, {"till", "vault", "ledger"});
    words = status ? status->detail : status.error().message;
    if (!status) return false;
    if (status->state == TransactionState::COMMITTED) {
      ledger_.told_committed(request, status->transaction_id);
      return true;
    }
    if (status->state != TransactionState::NOT_COMMITTED) return false;
    ledger_.told_never(request, "barred");
    return true;
  }

  txlog::FaultyFiles files_{11};
  World world_{{.coordinator_files = &files_, .lose_an_ending_in = 23}};
  Ledger ledger_;
  Counts counts_;
};

TEST_F(Storm, WhatStandsIsWhatWasToldThroughStopsFallsAndLostSessions) {
  world_.start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  std::atomic<bool> enough = false;
  std::vector<std::thread> clients;
  for (int number = 0; number < kClients; ++number) {
    clients.emplace_back([&, number] { Client(world_, ledger_, counts_, number).run(enough); });
  }
  for (int round = 0; round < kRounds; ++round)
    one_fall(round);
  enough = true;
  for (auto& client : clients)
    client.join();

  settle_what_was_not_told();
  EXPECT_TRUE(holds_within(30s, [&] { return world_.is_quiet(); })) << world_.what_is_left();
  ledger_.compare_with(world_.databases());
  Teller teller(world_.address());
  for (const auto& transaction : ledger_.committed_transactions()) {
    const auto status = teller.status_of(transaction);
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(status->state, TransactionState::COMMITTED) << transaction;
  }
  // Or the storm was none.
  EXPECT_GT(ledger_.committed(), kLeast);
  EXPECT_GT(ledger_.never(), 0U);
  EXPECT_GT(counts_.doubled, 0U);
  EXPECT_GT(counts_.retried, 0U);
  EXPECT_GT(counts_.barred, 0U);
  EXPECT_GT(counts_.one_phase, 0U);
  EXPECT_GT(counts_.late, 0U);
  EXPECT_GT(counts_.talked, 0U);
  RecordProperty("committed", static_cast<int>(ledger_.committed()));
  RecordProperty("never", static_cast<int>(ledger_.never()));
}

}  // namespace
}  // namespace troth
