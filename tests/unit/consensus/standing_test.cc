// May a replica vote, with what its log has of what it said? See standing.h; more in hostile_test.cc and replicated_log_test.cc.
#include <gtest/gtest.h>

#include "tests/unit/consensus/one_replica.h"

namespace troth::coordinator::consensus {
namespace {

// Attack 26, where nobody was to be asked at the start: a leader's heartbeat shows what this replica had said.
TEST(Standing, WhoVotesAndHearsThatItHadSaidMoreIsSetBack) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto beat = [&](std::uint64_t number, LogPosition known) {
    one.hear(
        2,
        Heartbeat{
            .ballot = {1, {2}}, .number = {number}, .chosen = {}, .sent = {}, .positions = {{kSelf, known}}});
  };
  beat(1, {.start = 1, .write = {one.records().size()}});
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
  beat(2, {.start = 2, .write = {1}});
  EXPECT_EQ(one.log().standing(), Standing::State::kSetBack);
  // What it said in this start does not count at the next one.
  const auto* asks = std::get_if<StandingAsked>(&one.records().back());
  ASSERT_NE(asks, nullptr);
  EXPECT_EQ(asks->position, LogPosition{});
}

}  // namespace
}  // namespace troth::coordinator::consensus
