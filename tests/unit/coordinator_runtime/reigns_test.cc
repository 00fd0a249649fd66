// One reign after the other over one store: what each is answered, and how each ends.
#include "coordinator/runtime/reigns.h"

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/coordinator_runtime/replica_group.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;

// Keeps what it is asked, and answers when the test says so.
class KeptStore : public store::DecisionStore {
 public:
  void submit(std::vector<store::Asked> requests) override {
    for (auto& asked : requests)
      kept.push_back(std::move(asked));
  }
  std::vector<store::Asked> kept;
};

class ReignsTest : public testing::Test, protected OwnLoop {
 protected:
  ReignsTest() {
    Reigns::Owner owner;
    owner.on_serving = [this] { ++servings_; };
    owner.on_over = [this](const Error& error) {
      EXPECT_EQ(reigns_->current(), nullptr) << "it is gone when its owner hears of it";
      overs_.push_back(error);
    };
    owner.on_drained = [this] { ++drains_; };
    reigns_ =
        std::make_unique<Reigns>(loop(), kGroupsCluster, settings_,
                                 std::make_shared<Metrics>(coordinator_metrics()), nullptr, std::move(owner));
  }

  // What was asked last.
  [[nodiscard]] store::Ticket asked() const {
    CHECK(!store_.kept.empty(), "nothing is asked");
    return store_.kept.back().ticket;
  }
  void answer(store::Ticket ticket, store::StoreAnswer answer) {
    reigns_->store_answered({{ticket, std::move(answer)}});
  }
  static store::EpochAcquired epoch(std::uint32_t number) {
    store::EpochAcquired acquired;
    acquired.epoch = {{number}, {4711}};
    return acquired;
  }
  // A reign that serves; its ticket for the epoch.
  store::Ticket serve(std::uint32_t number) {
    reigns_->begin(store_);
    const auto ticket = asked();
    answer(ticket, epoch(number));
    EXPECT_TRUE(reigns_->serves());
    return ticket;
  }
  static Error why() { return fail(ErrorCode::kUnavailable, Effect::kUnknown, "the lead is lost").error(); }
  void turn() {
    int turns = 0;
    ASSERT_TRUE(run_until([&] { return ++turns > 5; }));
  }

  CoordinatorSettings settings_;
  KeptStore store_;
  std::unique_ptr<Reigns> reigns_;
  int servings_ = 0;
  int drains_ = 0;
  std::vector<Error> overs_;
};

TEST_F(ReignsTest, ServesOnceItsEpochIsDurable) {
  EXPECT_EQ(reigns_->current(), nullptr);
  reigns_->begin(store_);
  ASSERT_NE(reigns_->current(), nullptr);
  EXPECT_FALSE(reigns_->serves());
  EXPECT_TRUE(std::holds_alternative<store::AcquireEpoch>(store_.kept.back().request));
  answer(asked(), epoch(4));
  EXPECT_TRUE(reigns_->serves());
  EXPECT_EQ(servings_, 1);
  EXPECT_EQ(reigns_->serving().table().epoch().number, EpochNumber{4});
}

// What one asked is not what the next one asked, though both count from the beginning.
TEST_F(ReignsTest, WhatTheStoreAnswersAnEarlierReignIsKeptFromTheNext) {
  reigns_->begin(store_);
  const auto first = asked();
  reigns_->end(why());
  EXPECT_EQ(reigns_->current(), nullptr);
  reigns_->begin(store_);
  const auto second = asked();
  EXPECT_NE(first, second);
  EXPECT_FALSE(Reigns::is_of_no_reign(first));
  EXPECT_FALSE(Reigns::is_of_no_reign(second));
  EXPECT_TRUE(Reigns::is_of_no_reign(store::Ticket{1'000'000}));
  answer(first, epoch(4));
  EXPECT_FALSE(reigns_->serves());
  answer(second, epoch(5));
  EXPECT_TRUE(reigns_->serves());
  EXPECT_EQ(reigns_->serving().table().epoch().number, EpochNumber{5});
}

TEST_F(ReignsTest, AnEndedReignHearsNothingAndSaysNothing) {
  const auto ticket = serve(4);
  reigns_->end(why());
  EXPECT_FALSE(reigns_->serves());
  answer(ticket, store::Fenced{});
  for (const auto& asked : std::exchange(store_.kept, {}))
    answer(asked.ticket, store::Fenced{});
  turn();
  EXPECT_TRUE(overs_.empty()) << "its owner ended it";
  EXPECT_EQ(drains_, 0);
  reigns_->end(why());  // once more, without one
}

TEST_F(ReignsTest, FencedItEndsByItselfAndItsOwnerHearsOfIt) {
  serve(4);
  ASSERT_GT(store_.kept.size(), 1U) << "it asks what is open";
  const auto ticket = asked();
  answer(ticket, store::Fenced{{9}});
  EXPECT_FALSE(reigns_->serves()) << "nothing is served by it from here on";
  ASSERT_TRUE(run_until([this] { return !overs_.empty(); }));
  EXPECT_EQ(overs_.size(), 1U);
  EXPECT_EQ(reigns_->current(), nullptr);
  serve(10);
  turn();
  EXPECT_EQ(overs_.size(), 1U);
}

TEST_F(ReignsTest, WithoutAnEpochItEndsByItself) {
  reigns_->begin(store_);
  answer(asked(), store::Unknown{why()});
  ASSERT_TRUE(run_until([this] { return !overs_.empty(); }));
  EXPECT_EQ(overs_[0].message, "the lead is lost");
  EXPECT_EQ(servings_, 0);
  reigns_->begin(store_);
  answer(asked(), store::Fenced{});
  ASSERT_TRUE(run_until([this] { return overs_.size() == 2; }));
  EXPECT_NE(overs_[1].message.find("the decision store gave no epoch"), std::string::npos);
}

// The lead is lost and found again before its owner hears of the end: that end is not the next one's.
TEST_F(ReignsTest, TheEndOfOneReignIsNotThatOfTheNext) {
  reigns_->begin(store_);
  answer(asked(), store::Unknown{why()});
  reigns_->end(why());
  reigns_->begin(store_);
  answer(asked(), epoch(5));
  turn();
  EXPECT_TRUE(overs_.empty());
  EXPECT_TRUE(reigns_->serves());
}

TEST_F(ReignsTest, ShutDownItDrainsOnceAndWithoutOneAtOnce) {
  reigns_->shut_down(1s);
  EXPECT_EQ(drains_, 1);
  serve(4);
  reigns_->shut_down(0ms);
  reigns_->shut_down(0ms);
  ASSERT_TRUE(run_until([this] { return drains_ >= 2; }));
  turn();
  EXPECT_EQ(drains_, 2);
  EXPECT_NE(reigns_->current(), nullptr) << "its owner ends it";
  reigns_->end(why());
  reigns_->begin(store_);
  reigns_->shut_down(1s);  // before it has its epoch
  ASSERT_TRUE(run_until([this] { return drains_ == 3; }));
}

// A call is answered by the reign that it was made in.
TEST_F(ReignsTest, WhatWaitsIsAnsweredAtTheEnd) {
  serve(4);
  std::optional<Result<StatusReport>> answered;
  StatusRequested question;
  question.subject = TransactionId{kGroupsCluster, {1}, {7}, std::nullopt};
  question.timeout = 10s;
  reigns_->serving().status(question, [&](auto report) {
    answered.emplace(std::move(report));
    EXPECT_EQ(reigns_->current(), nullptr) << "who asks again now meets the next reign";
  });
  ASSERT_FALSE(answered);
  reigns_->end(why());
  ASSERT_TRUE(answered);
}

// Its owner hears of the drain on the loop's next turn.
TEST_F(ReignsTest, WhatComesBetweenItsDrainAndItsEndIsAnsweredToo) {
  serve(4);
  reigns_->shut_down(10s);
  const TransactionId transaction{kGroupsCluster, {1}, {7}, std::nullopt};
  int answered = 0;
  CommitRequested end;
  end.transaction = transaction;
  reigns_->serving().commit(end, [&](const Answer&) { ++answered; });
  StatusRequested question;
  question.subject = transaction;
  question.timeout = 10s;
  reigns_->serving().status(question, [&](const Result<StatusReport>&) { ++answered; });
  ASSERT_TRUE(run_until([this] { return drains_ == 1; }));
  reigns_->end(why());
  EXPECT_EQ(answered, 2);
}

TEST_F(ReignsTest, NothingOfItRunsOnceItIsGone) {
  reigns_->begin(store_);
  answer(asked(), store::Unknown{why()});
  reigns_.reset();
  turn();
  EXPECT_TRUE(overs_.empty());
}

}  // namespace
}  // namespace troth::coordinator
