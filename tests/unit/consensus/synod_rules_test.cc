#include "coordinator/consensus/synod_rules.h"

#include <limits>

#include <gtest/gtest.h>

#include "coordinator/consensus/synod.h"

namespace troth::coordinator::consensus {
namespace {

TEST(SynodRules, AnOlderBallotIsNeitherPromisedNorAccepted) {
  const Ballot promised{5, {2}};
  EXPECT_FALSE(may_promise(promised, {4, {3}}));
  EXPECT_FALSE(may_accept(promised, {4, {3}}));
  EXPECT_FALSE(may_accept(promised, {5, {1}})) << "of one round, the higher replica's ballot is the higher";
  EXPECT_TRUE(may_accept(promised, promised));
  EXPECT_TRUE(may_promise(promised, promised)) << "doubled: answered again";
  EXPECT_TRUE(may_promise(promised, {5, {3}}));
  EXPECT_TRUE(may_accept(promised, {6, {1}})) << "it need not have heard of the prepare";
}

// Attack 35, for ballots: one damaged or made-up number would leave nobody a higher one.
TEST(SynodRules, Attack35ABallotFromNowhereIsRefused) {
  const Ballot promised{5, {2}};
  const Ballot last{std::numeric_limits<std::uint64_t>::max(), {3}};
  EXPECT_FALSE(may_promise(promised, last));
  EXPECT_FALSE(may_accept(promised, last));
  EXPECT_TRUE(may_promise(promised, {5 + kMostRoundsAhead, {3}}));
  EXPECT_FALSE(may_promise(promised, {6 + kMostRoundsAhead, {3}}));
  EXPECT_FALSE(may_promise({}, {})) << "no ballot";
  EXPECT_FALSE(may_promise({}, {1, {0}})) << "nobody's ballot";
}

TEST(SynodRules, Attack35ARefusalFromNowhereDoesNotMoveAProposer) {
  const Configuration configuration = with_majorities({{1}, {2}, {3}});
  SynodProposer proposer({{1},
                          configuration,
                          std::make_shared<const std::string>("apple"),
                          {},
                          std::chrono::seconds{1},
                          Backoff{std::chrono::milliseconds{1}, std::chrono::milliseconds{1}}});
  Random random(1);
  std::ignore = proposer.step({}, random, SynodProposer::Begun{});
  const Ballot own{1, {1}};
  const Ballot last{std::numeric_limits<std::uint64_t>::max(), {3}};
  std::ignore = proposer.step({}, random, SynodProposer::RefusalReceived{{1}, {own, last}});
  const auto later = proposer.due().value_or(Instant{});
  const auto sent = proposer.step(later, random, SynodProposer::TimePassed{});
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(std::get<Synod::Prepare>(sent[0].message).ballot, (Ballot{2, {1}}));
}

TEST(SynodRules, TheHighestBallotIsKept) {
  const auto value = [](const char* text) { return std::make_shared<const std::string>(text); };
  const auto text = [](const auto& of) { return of ? *of->value : std::string("nothing"); };
  std::optional<Synod::Acceptance> kept;
  keep_highest(kept, Synod::Acceptance{{2, {1}}, value("pear")});
  keep_highest(kept, Synod::Acceptance{{1, {3}}, value("apple")});
  EXPECT_EQ(text(kept), "pear");
  keep_highest(kept, Synod::Acceptance{{2, {2}}, value("plum")});
  EXPECT_EQ(text(kept), "plum");
}

// Accepted by two of three, and yet not chosen: the next leader may meet the one that knows the lower ballot only.
TEST(SynodRules, AcceptancesInTwoBallotsAreNoQuorum) {
  const auto value = std::make_shared<const std::string>("apple");
  SynodLearner learner(with_majorities({{1}, {2}, {3}}));
  learner.step({1}, {{1, {1}}, value});
  learner.step({2}, {{2, {2}}, value});
  EXPECT_FALSE(learner.chosen());
  learner.step({9}, {{2, {2}}, value});
  EXPECT_FALSE(learner.chosen()) << "a replica without a vote";
  learner.step({1}, {{2, {2}}, value});
  EXPECT_TRUE(learner.chosen());
}

}  // namespace
}  // namespace troth::coordinator::consensus
