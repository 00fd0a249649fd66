// Many sessions of one model server at once, under crashes, kills and lost clients: nothing that it does may contradict
// what it has answered. Each seed runs twice, and does the same twice.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/model/every_kind.h"
#include "tests/sim/model/model_server.h"
#include "tests/sim/model/statement_words.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

constexpr std::int64_t kAccounts = 4;
constexpr std::int64_t kBalance = 1'000;
constexpr std::int64_t kFirstReceipt = 1'000;
constexpr int kSteps = 600;

// What was told of a branch.
struct Told {
  bool sent = false;
  bool prepared = false;
  bool refused = false;  // nothing of it stands
  bool lost = false;
  bool committed = false;  // its commit was acknowledged
  bool rolled_back = false;
  bool barred = false;  // a barrier was inserted at its key
};

class Storm {
 public:
  Storm(DatabaseKind kind, std::uint64_t seed)
      : kind_(kind), random_(seed), server_(options(kind), Random(seed + 1), now_) {}

  [[nodiscard]] const std::set<std::string>& happened() const { return happened_; }
  // What happened, in a form that tells two runs apart.
  std::string run() {
    for (int step = 0; step < kSteps; ++step)
      one_step();
    settle();
    return trace_;
  }

 private:
  struct Client {
    SessionHandle session;
    std::optional<BranchId> asked;  // what it was asked is about it
    std::optional<PreparedEnding> ending;
    bool busy = false;
  };

  static ModelOptions options(DatabaseKind kind) {
    ModelOptions options{.kind = kind, .accounts = {}};
    options.times.sync = {.least = 1ms, .most = 8ms};
    for (std::int64_t id = 1; id <= kAccounts; ++id)
      options.accounts[id] = kBalance;
    return options;
  }

  void one_step() {
    now_ += Duration(random_.below(random_.one_in(30) ? 2'000'000 : 3'000));
    server_.advance(now_);
    hear();
    switch (random_.below(24)) {
      case 0: fault(); break;
      case 1:
      case 2: lose_client(); break;
      case 3: kill(); break;
      default: ask(); break;
    }
  }

  void fault() {
    if (!server_.is_up()) {
      server_.start(now_);
    } else if (random_.one_in(3)) {
      server_.crash(now_);
      hear();
      if (random_.one_in(2)) server_.start(now_);
    }
  }

  Client* any_client() {
    if (clients_.empty()) return nullptr;
    auto at = clients_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(clients_.size())));
    return &at->second;
  }

  void lose_client() {
    Client* client = any_client();
    if (client == nullptr) return;
    const SessionHandle session = client->session;
    if (random_.one_in(4)) server_.cut(session, now_);
    server_.vanish(session, now_);
    clients_.erase(session);
  }

  void kill() {
    if (Client* client = any_client(); client != nullptr && server_.is_up())
      server_.kill(client->session, now_);
  }

  void ask() {
    Client* client = any_client();
    if (client == nullptr || clients_.size() < 6) {
      const auto session = server_.open("agent", {.lock_wait_timeout = 1s}, now_);
      if (!session.has_value()) return;
      client = &clients_[*session];
      client->session = *session;
    }
    if (client->busy) return;
    client->busy = true;
    client->asked.reset();
    client->ending.reset();
    server_.submit(client->session, choose(*client), now_);
    hear();
  }

  Request choose(Client& client) {
    const bool tied = server_.condition(client.session) == ConnectionCondition::kTied;
    const std::set<BranchId> prepared = server_.prepared();
    if (!prepared.empty() && (tied || random_.one_in(3))) {
      auto at = prepared.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_.below(prepared.size())));
      client.asked = *at;
      // A decision never changes, as an agent's does not.
      const PreparedEnding ending =
          decisions_.try_emplace(*at, random_.one_in(2) ? PreparedEnding::kCommit : PreparedEnding::kRollBack)
              .first->second;
      client.ending = ending;
      return FinishPrepared{*at, ending};
    }
    if (!tied && random_.one_in(5) && !told_.empty()) {
      const BranchId any = branch(1 + random_.below(last_sequence_));
      client.asked = any;
      return InsertBarrier{any, {1}, 50ms};
    }
    if (!tied && random_.one_in(6) && !server_.markers().empty()) {
      return RaiseCounter{server_.owner(), server_.owner().counter + 1};
    }
    return RunBranch{transfer(client)};
  }

  static BranchId branch(std::uint64_t sequence) {
    return {
        .transaction = {.cluster = {"storm-000001"}, .epoch = {1}, .sequence = {sequence}, .one_phase = {}},
        .branch = {1}};
  }

  // From one account to another, with a receipt of its own.
  BranchWork transfer(Client& client) {
    const std::uint64_t sequence = ++last_sequence_;
    BranchWork work;
    work.start.id = branch(sequence);
    work.start.epoch = {1};
    work.start.lock_timeout = random_.one_in(2) ? 50ms : 3s;
    if (random_.one_in(3))
      work.start.isolation = random_.one_in(2) ? Isolation::kRepeatableRead : Isolation::kSerializable;
    if (random_.one_in(3)) {
      RequestKey request{.client = "storm", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
      request.id.bytes[15] = static_cast<std::uint8_t>(random_.below(8));
      work.start.request = request;
    }
    work.one_trip = random_.one_in(2);
    if (random_.one_in(4)) work.ending = BranchEnding::kCommitOnePhase;
    const auto amount = static_cast<std::int64_t>(random_.below(10));
    const auto from = static_cast<std::int64_t>(1 + random_.below(kAccounts));
    const auto to = static_cast<std::int64_t>(1 + random_.below(kAccounts));
    const auto receipt = kFirstReceipt + static_cast<std::int64_t>(sequence);
    for (const StatementWord& word : {StatementWord(AddToAccount{.amount = -amount, .id = from}),
                                      StatementWord(AddToAccount{.amount = amount, .id = to}),
                                      StatementWord(InsertAccount{.id = receipt, .balance = 0})})
      work.statements.push_back(write_out(kind_, word));
    told_[work.start.id].sent = true;
    client.asked = work.start.id;
    return work;
  }

  void hear() {
    const std::vector<Completion> completions = server_.take_completions();
    for (const Completion& completion : completions) {
      const auto found = clients_.find(completion.session);
      if (found == clients_.end()) continue;
      Client& client = found->second;
      client.busy = false;
      trace_ += fmt::format("{} {} {} ", completion.at.time_since_epoch().count(), completion.session.value,
                            completion.reply.index());
      if (client.asked.has_value()) learn(*client.asked, client.ending, completion.reply);
      const bool usable = completion.condition == ConnectionCondition::kIdle ||
                          completion.condition == ConnectionCondition::kTied;
      if (!usable) {
        server_.vanish(completion.session, now_);
        clients_.erase(found);
      }
    }
    if (!completions.empty()) check();
  }

  void learn(const BranchId& id, const std::optional<PreparedEnding>& ending, const Reply& reply) {
    Told& told = told_[id];
    if (const auto* work = std::get_if<WorkResult>(&reply); work != nullptr) {
      trace_ += fmt::format("{}:{} ", id.transaction.sequence.value, work->outcome.index());
      if (std::holds_alternative<Lost>(work->outcome)) told.lost = true;
      if (std::holds_alternative<MarkerTaken>(work->outcome)) happened_.insert("a marker was taken");
      if (const auto* refused = std::get_if<Refused>(&work->outcome); refused != nullptr) {
        if (refused->error.sqlstate == "40P01" || refused->error.vendor_code == 1213)
          happened_.insert("a deadlock");
        if (refused->error.code == ErrorCode::kConflict) happened_.insert("a conflict");
      }
      if (std::holds_alternative<CommittedOnePhase>(work->outcome)) happened_.insert("a commit in one phase");
      if (std::holds_alternative<Prepared>(work->outcome)) told.prepared = true;
      if (std::holds_alternative<Refused>(work->outcome)) told.refused = true;
      if (std::holds_alternative<CommittedOnePhase>(work->outcome)) told.committed = true;
      return;
    }
    const auto* done = std::get_if<Answer<void>>(&reply);
    if (done == nullptr || !done->has_value()) return;
    if (ending.has_value() && !told.prepared) happened_.insert("a branch was ended whose yes nobody heard");
    if (!ending.has_value()) {
      happened_.insert("a barrier");
      told.barred = true;
    } else if (*ending == PreparedEnding::kCommit) {
      told.committed = true;
    } else {
      told.rolled_back = true;
    }
  }

  // Money, receipts and markers say the same, and nothing that was told.
  void check() {
    std::int64_t total = 0;
    std::set<std::uint64_t> receipts;
    for (const auto& [id, balance] : server_.accounts()) {
      total += balance;
      if (id >= kFirstReceipt) receipts.insert(static_cast<std::uint64_t>(id - kFirstReceipt));
    }
    ASSERT_EQ(total, kAccounts * kBalance);
    std::map<std::string, MarkerState> markers;
    std::set<RequestKey> requests;
    for (const MarkerRow& row : server_.markers()) {
      markers[row.transaction] = row.state;
      if (row.request.has_value()) {
        ASSERT_TRUE(requests.insert(*row.request).second) << "a request that committed twice";
      }
    }
    const std::set<BranchId> prepared = server_.prepared();
    for (const auto& [id, told] : told_) {
      const auto found = markers.find(id.transaction.text());
      const bool committed = found != markers.end() && found->second == MarkerState::kCommitted;
      const std::string name = id.transaction.text();
      ASSERT_EQ(committed, receipts.contains(id.transaction.sequence.value)) << name;
      if (told.lost && committed) happened_.insert("a lost branch committed");
      if (told.committed) {
        ASSERT_TRUE(committed) << name;
      }
      if (told.refused || told.rolled_back || told.barred) {
        ASSERT_FALSE(committed) << name;
        ASSERT_FALSE(prepared.contains(id)) << name;
      }
      if (told.prepared && !told.committed && !told.rolled_back && !committed && !decisions_.contains(id)) {
        ASSERT_TRUE(prepared.contains(id)) << name;
      }
    }
  }

  // Without faults everything ends: sessions go, prepared branches are finished by whoever comes, and no lock is left.
  void settle() {
    if (!server_.is_up()) server_.start(now_);
    clients_.clear();
    server_.crash(now_);
    server_.start(now_);
    const auto session = server_.open("agent", {.lock_wait_timeout = 1s}, now_);
    ASSERT_TRUE(session.has_value());
    for (const BranchId& id : server_.prepared()) {
      server_.submit(*session, FinishPrepared{id, PreparedEnding::kRollBack}, now_);
      ASSERT_TRUE(std::get<Answer<void>>(await(*session)).has_value());
    }
    EXPECT_TRUE(server_.prepared().empty());
    BranchWork work;
    work.start.id = branch(last_sequence_ + 1);
    work.start.lock_timeout = 50ms;
    for (std::int64_t id = 1; id <= kAccounts; ++id)
      work.statements.push_back(write_out(kind_, AddToAccount{.amount = 0, .id = id}));
    server_.submit(*session, RunBranch{work}, now_);
    EXPECT_TRUE(std::holds_alternative<Prepared>(std::get<WorkResult>(await(*session)).outcome));
  }

  Reply await(SessionHandle session) {
    for (;;) {
      if (auto completion = server_.take_completion(session); completion.has_value())
        return completion->reply;
      now_ = server_.wakes_at().value();
      server_.advance(now_);
    }
  }

  std::set<std::string> happened_;
  const DatabaseKind kind_;
  Random random_;
  Instant now_ = Instant(1h);
  ModelServer server_;
  std::map<SessionHandle, Client> clients_;
  std::map<BranchId, Told> told_;
  std::map<BranchId, PreparedEnding> decisions_;
  std::uint64_t last_sequence_ = 0;
  std::string trace_;
};

class ModelStorm : public testing::TestWithParam<DatabaseKind> {};
TROTH_FOR_EVERY_KIND(ModelStorm);

TEST_P(ModelStorm, NothingContradictsWhatWasAnswered) {
  std::set<std::string> happened;
  for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Storm storm(GetParam(), seed);
    const std::string first = storm.run();
    const std::string second = Storm(GetParam(), seed).run();
    ASSERT_EQ(first, second) << "one seed, two runs";
    happened.insert(storm.happened().begin(), storm.happened().end());
  }
  const std::set<std::string> expected{"a barrier",
                                       "a branch was ended whose yes nobody heard",
                                       "a commit in one phase",
                                       "a conflict",
                                       "a deadlock",
                                       "a lost branch committed",
                                       "a marker was taken"};
  EXPECT_EQ(happened, expected) << "what never happens shows nothing";
}

}  // namespace
}  // namespace troth::sim
