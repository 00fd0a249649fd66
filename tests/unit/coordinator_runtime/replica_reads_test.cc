// `status` from a coordinator's own copy of the store: what each consistency needs, and what a session's token is good for.
#include "coordinator/runtime/replica_reads.h"

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/coordinator_runtime/replica_group.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;
using store::Consistency;

class ReplicaReadsTest : public testing::Test {
 protected:
  ReplicaReadsTest() {
    for (std::uint32_t number = 1; number <= 3; ++number)
      group_.member(number).on_answers = [this, number](std::vector<store::Answered> answers) {
        const auto reads = reads_.find(number);
        if (reads != reads_.end()) reads->second->store_answered(answers);
        for (auto& answered : answers)
          others_.push_back(std::move(answered));
      };
    group_.start_all();
    CHECK(group_.come_together());
    for (std::uint32_t number = 1; number <= 3; ++number)
      open(number);
    leader_ = *group_.leader();
    follower_ = group_.follower();
  }
  ~ReplicaReadsTest() override { reads_.clear(); }

  void open(std::uint32_t number) {
    reads_[number] =
        std::make_unique<ReplicaReads>(group_.loop(), group_.replica(number).store(), kGroupsCluster);
  }
  void stop(std::uint32_t number) {
    reads_.erase(number);
    group_.stop(number);
  }
  // As a reign's, whose tickets are not the readers'.
  store::StoreAnswer decide(store::Request request) {
    const store::Ticket ticket{(std::uint64_t{1} << 40) + ++asked_};
    group_.replica(leader_).store().submit({{ticket, std::move(request)}});
    std::optional<store::StoreAnswer> answer;
    EXPECT_TRUE(group_.run_until([&] {
      for (const auto& answered : others_)
        if (answered.ticket == ticket) answer = answered.answer;
      return answer.has_value();
    }));
    return *answer;
  }
  // A commit that every replica will hear of.
  TransactionId commit(std::uint64_t sequence) {
    if (epoch_.number.value == 0) {
      const auto acquired = decide(store::AcquireEpoch{{77}, {}, {}});
      const auto* reign = std::get_if<store::EpochAcquired>(&acquired);
      CHECK(reign != nullptr, "no epoch");
      epoch_ = reign->epoch;
    }
    const TransactionId id{kGroupsCluster, epoch_.number, {sequence}, std::nullopt};
    store::CommitRecord record;
    record.transaction = id;
    store::RecordBranch branch;
    branch.branch = {1};
    branch.resource = {1};
    record.branches = {branch};
    const auto chosen = decide(store::Choose{epoch_.number, std::move(record)});
    EXPECT_TRUE(std::holds_alternative<store::Won>(chosen));
    return id;
  }

  using Answered = std::optional<Result<ReplicaReads::Answer>>;
  Result<ReplicaReads::Answer> ask(std::uint32_t number, StatusSubject subject, Consistency consistency,
                                   std::optional<ReadToken> token = std::nullopt, Duration timeout = 5s) {
    Answered answered;
    reads_.at(number)->status(std::move(subject), consistency, token, timeout, [&](auto answer) {
      EXPECT_FALSE(answered) << "answered twice";
      answered.emplace(std::move(answer));
    });
    if (!group_.run_until([&] { return answered.has_value(); }))
      return fail(ErrorCode::kInternal, Effect::kUnknown, "no answer");
    return *std::move(answered);
  }

  ReplicaGroup group_{3};
  std::map<std::uint32_t, std::unique_ptr<ReplicaReads>> reads_;
  std::vector<store::Answered> others_;
  std::uint64_t asked_ = 0;
  Epoch epoch_;
  std::uint32_t leader_ = 0;
  std::uint32_t follower_ = 0;
};

TEST(ReadTokens, AreReadAsTheyWereWritten) {
  const ReadToken token{{3}, {4711}};
  EXPECT_EQ(token.text(), "3.4711");
  const auto read = ReadToken::parse("3.4711");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->new_reign, EpochNumber{3});
  EXPECT_EQ(read->position, store::WriteNumber{4711});
  for (const auto* wrong : {"", ".", "3", "3.", ".4711", "3.4711 ", " 3.4711", "-3.1", "3.-1", "3.4.5", "a.b",
                            "99999999999.1", "3.99999999999999999999999"}) {
    const auto refused = ReadToken::parse(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused.error().message,
              "'" + std::string(wrong) + "' is no session_token: send one back as it was given");
  }
}

TEST_F(ReplicaReadsTest, AQuorumReadSeesWhatWasDecidedBeforeWhicheverReplicaIsAsked) {
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    const auto id = commit(sequence);
    for (std::uint32_t number = 1; number <= 3; ++number) {
      const auto answer = ask(number, id, Consistency::kQuorum);
      ASSERT_TRUE(answer) << answer.error().message;
      EXPECT_EQ(answer->report.state, TransactionState::kCommitted) << "replica " << number;
    }
  }
}

TEST_F(ReplicaReadsTest, ASessionSeesWhatItHasSeen) {
  const auto id = commit(1);
  const auto seen = ask(leader_, id, Consistency::kQuorum);
  ASSERT_TRUE(seen) << seen.error().message;
  for (std::uint32_t number = 1; number <= 3; ++number) {
    const auto answer = ask(number, id, Consistency::kSession, seen->token);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->report.state, TransactionState::kCommitted) << "replica " << number;
    EXPECT_GE(answer->token.position, seen->token.position);
  }
  EXPECT_EQ(reads_.at(leader_)->newest().text(), seen->token.text());
}

TEST_F(ReplicaReadsTest, WhatTheSessionHasSeenAndIsNotHereYetIsSaidToBeSo) {
  const auto id = commit(1);
  auto token = reads_.at(leader_)->newest();
  token.position.value += 1000;
  const auto late = ask(follower_, id, Consistency::kSession, token, 100ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(late.error().effect, Effect::kNone);
  EXPECT_TRUE(late.error().retryable);

  token = reads_.at(leader_)->newest();
  token.new_reign.value += 1;
  const auto ahead = ask(follower_, id, Consistency::kSession, token);
  ASSERT_FALSE(ahead);
  EXPECT_EQ(ahead.error().message, "what the session has seen has not come to this coordinator yet");
}

TEST_F(ReplicaReadsTest, WithoutAQuorumOnlyEventualReadsAreAnswered) {
  const auto id = commit(1);
  ASSERT_TRUE(ask(follower_, id, Consistency::kQuorum));
  for (std::uint32_t number = 1; number <= 3; ++number)
    if (number != follower_) stop(number);
  const auto quorum = ask(follower_, id, Consistency::kQuorum, std::nullopt, 200ms);
  ASSERT_FALSE(quorum);
  EXPECT_EQ(quorum.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(quorum.error().effect, Effect::kNone);
  EXPECT_TRUE(quorum.error().retryable);
  EXPECT_EQ(quorum.error().message, "no read quorum of the group answered this coordinator in time");
  const auto eventual = ask(follower_, id, Consistency::kEventual);
  ASSERT_TRUE(eventual) << eventual.error().message;
  EXPECT_EQ(eventual->report.state, TransactionState::kCommitted);
  const auto session = ask(follower_, id, Consistency::kSession, reads_.at(follower_)->newest());
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->report.state, TransactionState::kCommitted);
}

TEST_F(ReplicaReadsTest, WhatCannotBeKnownHereIsSaidAtOnce) {
  const auto stranger =
      ask(follower_, TransactionId{{"shop-000000"}, {1}, {1}, std::nullopt}, Consistency::kEventual);
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().code, ErrorCode::kUnknownTransaction);
  EXPECT_NE(stranger.error().message.find("belongs to cluster 'shop-000000', this is 'bank-x7k2p9'"),
            std::string::npos)
      << stranger.error().message;
  const auto one_phase =
      ask(follower_, TransactionId{kGroupsCluster, {1}, {1}, ResourceNumber{1}}, Consistency::kQuorum);
  ASSERT_TRUE(one_phase);
  EXPECT_NE(one_phase->report.state, TransactionState::kCommitted);
  EXPECT_NE(one_phase->report.detail.find("only its resource knows: ask with consistency LINEARIZABLE"),
            std::string::npos)
      << one_phase->report.detail;
}

TEST_F(ReplicaReadsTest, NobodyIsAnsweredTwiceOrForOthers) {
  const auto id = commit(1);
  std::vector<store::Answered> answers = {{store::Ticket{4711}, store::Unknown{}},
                                          {store::Ticket{std::uint64_t{1} << 40}, store::Unknown{}}};
  reads_.at(follower_)->store_answered(answers);
  ASSERT_EQ(answers.size(), 1U) << "what a reign asked is its own";
  EXPECT_EQ(answers[0].ticket, store::Ticket{std::uint64_t{1} << 40});
  EXPECT_TRUE(ask(follower_, id, Consistency::kQuorum));
}

}  // namespace
}  // namespace troth::coordinator
