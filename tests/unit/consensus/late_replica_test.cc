// A replica that was not run for a while: its loop was busy, its machine paused, its disk slow. What it missed by that is no
// other replica's silence.
#include <gtest/gtest.h>

#include "tests/unit/consensus/one_replica.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

// Leads a group, or itself.
class Late : public testing::Test {
 protected:
  void lead(std::uint32_t replicas) {
    one_.emplace(replicas);
    one_->be_allowed_to_vote();
    if (replicas == 1) {
      one_->write();
      one_->pass(1ms);
      one_->write();
    } else {
      ballot_ = one_->ask_and_prepare();
      one_->hear(2, Promise{.ballot = ballot_, .chosen = {}, .accepted = {}, .position = {}});
    }
    ASSERT_TRUE(one_->log().is_leading());
  }
  void answer() {
    const auto beat = one_->sent<Heartbeat>({2}).back();
    one_->hear(2, HeartbeatSeen{.ballot = ballot_, .number = beat.number, .sent = beat.sent});
  }
  // As its caller has to, it is run when it asked for it.
  void run_for(Duration time) {
    for (const auto end = one_->now() + time; one_->now() < end;)
      one_->sleep(std::min<Duration>(10ms, end - one_->now()));
  }

  std::optional<OneReplica> one_;
  Ballot ballot_;
};

TEST_F(Late, GroupOfOneHasNobodyToLoseTheLeadTo) {
  lead(1);
  one_->step(EntryOffered{command("a")});
  // Its own disk was done long ago, which it has not heard yet.
  one_->pass(10s);
  EXPECT_TRUE(one_->log().is_leading());
  // Nor would it help to give up while the disk hangs: every answer would be that nobody knows.
  run_for(5s);
  EXPECT_TRUE(one_->log().is_leading());
  EXPECT_TRUE(one_->done<StopLeading>().empty());
  one_->write();
  EXPECT_EQ(one_->log().chosen(), Slot{1});
}

// Attack 25, and its reverse.
TEST_F(Late, LeaderAsksItsQuorumBeforeItGivesUp) {
  for (const Duration pause : {600ms, 5'000ms}) {
    lead(3);
    one_->step(EntryOffered{command("a")});
    one_->write();
    answer();
    const auto beats = one_->sent<Heartbeat>({2}).size();
    one_->pass(pause);
    EXPECT_TRUE(one_->log().is_leading()) << "what they answered is in its queue";
    EXPECT_FALSE(one_->log().holds_lease(one_->now())) << "no lease is longer for it";
    EXPECT_GT(one_->sent<Heartbeat>({2}).size(), beats);
    one_->hear(2, AcceptedThrough{.ballot = ballot_, .first = {1}, .last = {1}, .position = {}});
    EXPECT_EQ(one_->log().chosen(), Slot{1});
    run_for(400ms);
    EXPECT_TRUE(one_->log().is_leading());
    answer();
    run_for(400ms);
    EXPECT_TRUE(one_->log().is_leading());
    // And then there is silence.
    run_for(150ms);
    EXPECT_FALSE(one_->log().is_leading());
  }
}

TEST_F(Late, LeaderThatIsSeldomRunGivesUpInTheEnd) {
  lead(3);
  int pauses = 0;
  for (; one_->log().is_leading() && pauses < 100; ++pauses) {
    run_for(100ms);
    one_->pass(400ms);
  }
  EXPECT_GE(pauses, 4);
  EXPECT_LE(pauses, 6);
}

// Somebody else was elected meanwhile: the first answer says so.
TEST_F(Late, LeaderThatWasReplacedMeanwhileHearsOfItAtOnce) {
  lead(3);
  one_->pass(2s);
  ASSERT_TRUE(one_->log().is_leading());
  one_->step(ReadAsked{{7}});
  EXPECT_TRUE(one_->done<ReadAt>().empty()) << "[C6] it holds no lease, and nobody confirms it";
  one_->hear(2, Refused{.ballot = ballot_, .promised = {ballot_.round + 1, {3}}, .leader = ReplicaId{3}});
  EXPECT_FALSE(one_->log().is_leading());
  EXPECT_EQ(one_->done<RefuseRead>().size(), 1U);
}

// A candidate that was promised to is not deposed by its own voter, whose time comes before the first heartbeat does.
TEST(LateCandidate, IsNotDeposedByWhoPromisedIt) {
  for (std::uint64_t attempt = 0; attempt < 20; ++attempt) {
    OneReplica one(3);
    one.be_allowed_to_vote();
    for (std::uint64_t starts = 0; starts < attempt; ++starts) {
      one.start();
      one.be_allowed_to_vote();
    }
    // Just before it would try itself.
    one.pass_silently(one.log().wakes_at() - one.now() - 1ms);
    one.hear(2, PreVote{{1, {2}}});
    one.hear(2, Prepare{.ballot = {1, {2}}, .above = {}});
    one.write();
    ASSERT_EQ(one.sent<consensus::Promise>({2}).size(), 1U);
    one.sleep(200ms);
    EXPECT_TRUE(one.sent<PreVote>({2}).empty()) << attempt;
    // Nobody came of it.
    one.sleep(400ms);
    EXPECT_FALSE(one.sent<PreVote>({2}).empty()) << attempt;
  }
}

}  // namespace
}  // namespace troth::coordinator::consensus
