// One replica among others that are late, odd or damaged. What it must never do: deliver two entries for one slot,
// count an answer that was meant for an earlier start of it, or abort because of what another says.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/consensus/one_replica.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

// [C1] What a leader adopted may be known to be chosen by one that promised nothing. Were it learned from there, the
// same entries would be counted again, for the slots behind.
TEST(Hostile, LeaderLearnsNothingThatItHasInFlight) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot,
                      .chosen = {},
                      .accepted = {{{1}, {0, {3}}, command("a")}, {{2}, {0, {3}}, command("b")}},
                      .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  one.hear(3, ChosenEntries{.first = {1}, .entries = {command("a"), command("b")}, .chosen = {2}});
  one.write();
  one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {2}, .position = {}});
  const auto delivered = one.done<Deliver>();
  ASSERT_EQ(delivered.size(), 2U);
  EXPECT_EQ(delivered[0].slot, Slot{1});
  EXPECT_EQ(delivered[0].entry, command("a"));
  EXPECT_EQ(delivered[1].slot, Slot{2});
  EXPECT_EQ(delivered[1].entry, command("b"));
  EXPECT_EQ(one.log().chosen(), Slot{2});
}

// Attack 44. An answer to an earlier start does not know what this replica has accepted since, and lost.
TEST(Hostile, CutTailIsNotTakenOverFromAnAnswerToAnEarlierStart) {
  OneReplica one(3);
  one.start(true);
  const auto first = one.sent<AskStanding>({2}).front();
  one.start(true);
  one.hear(2, OneReplica::answer(first));
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  one.hear(2, OneReplica::answer(one.sent<AskStanding>({2}).back()));
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

// Attack 26. Nor how far its log has come since.
TEST(Hostile, SetBackIsSeenThoughAnAnswerToAnEarlierStartComesFirst) {
  OneReplica one(3);
  const auto first = one.sent<AskStanding>({2}).front();
  one.start();
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.hear(2, OneReplica::answer(first));
  EXPECT_EQ(one.log().standing(), Standing::State::kAsking);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).back());
  shown.known = {.start = 1, .write = {5}};
  one.hear(2, shown);
  EXPECT_EQ(one.log().standing(), Standing::State::kSetBack);
}

// Attack 23. What had been accepted when an earlier start asked is no answer to what was asked since.
TEST(Hostile, QuorumReadIsNotAnsweredByWhatAnEarlierStartAsked) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  const auto early = one.sent<AskHighest>({2}).front();
  one.start();
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{8}});
  one.hear(2, HighestShown{.number = early.number, .highest = {}, .chosen = {}});
  EXPECT_TRUE(one.done<ReadAt>().empty());
  one.hear(2, HighestShown{.number = one.sent<AskHighest>({2}).back().number, .highest = {}, .chosen = {}});
  EXPECT_EQ(one.done<ReadAt>().size(), 1U);
}

// Attack 56. A crash before the start itself is written is no older image.
TEST(Hostile, PositionDoesNotNameAStartThatIsNotDurable) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.start();
  for (const std::uint32_t other : {2U, 3U})
    one.hear(other, OneReplica::answer(one.sent<AskStanding>({other}).front()));
  one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {1}, .chosen = {}, .sent = {}, .positions = {}});
  one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {2}, .chosen = {}, .sent = {}, .positions = {}});
  ASSERT_FALSE(one.sent<HeartbeatSeen>({2}).empty());
  const auto told = one.sent<HeartbeatSeen>({2}).back().position;
  one.start();
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  shown.known = told;
  one.hear(2, shown);
  EXPECT_NE(one.log().standing(), Standing::State::kSetBack);
}

// Nor is a log whose last batch was lost, and taken over from others.
TEST(Hostile, StartBehindACutTailIsAboveEveryOneThatWasTold) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto before = one.records().size();
  one.start(true);
  for (const std::uint32_t other : {2U, 3U})
    one.hear(other, OneReplica::answer(one.sent<AskStanding>({other}).front()));
  one.sleep(1s);  // no lease that it may have granted runs
  std::uint64_t start = 0;
  for (auto each = one.records().begin() + static_cast<std::ptrdiff_t>(before); each != one.records().end();
       ++each)
    if (const auto* started = std::get_if<Started>(&*each)) start = started->start;
  EXPECT_GT(start, 2U) << "start 2 may have been written, told and lost";
}

// Attack 56. A group that starts cold has only what is written of how far each log had come: also at a follower whose
// leader is never late.
TEST(Hostile, FollowerOfAnUntiringLeaderWritesWhatItKnows) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  for (std::uint64_t number = 1; number <= 100; ++number) {
    one.sleep(30ms);
    one.hear(2, Heartbeat{.ballot = {1, {2}},
                          .number = {number},
                          .chosen = {},
                          .sent = {},
                          .positions = {{{3}, {.start = 1, .write = {number}}}}});
  }
  std::uint64_t written = 0;
  for (const auto& record : one.records())
    if (const auto* known = std::get_if<PositionsKnown>(&record))
      written = known->positions.at({3}).write.value;
  EXPECT_GT(written, 50U);
}

// A disk that hangs stops nothing that comes over the network. What it has no room for is not taken, and taken when it comes
// again behind the hang.
// A start keeps what it does not know to be chosen: slots are large.
TEST(Hostile, StartKnowsAllButSoManyBytesToBeChosen) {
  OneReplica one(3, {.unwritten_chosen_bytes = 10'000});
  one.be_allowed_to_vote();
  const std::string large(1'000, 'x');
  for (std::uint64_t slot = 1; slot <= 100; ++slot) {
    one.hear(2,
             Accept{.ballot = {1, {2}}, .first = {slot}, .entries = {command(large)}, .chosen = {slot - 1}});
    one.write();
  }
  EXPECT_EQ(one.log().chosen(), Slot{99});
  one.start();
  EXPECT_LE(one.log().accepted_bytes(), 10'000 + 2 * 1'100U);
  EXPECT_GE(one.log().chosen().value, 88U);
}

TEST(Hostile, FollowerWhoseDiskHangsTakesNoMoreThanItHasRoomFor) {
  const GroupLimits limits{.accepted_bytes = 1'000'000, .unwritten_bytes = 100'000, .held_bytes = 20'000};
  for (int kind = 0; kind < 4; ++kind) {
    OneReplica one(3, limits);
    one.be_allowed_to_vote();
    const std::string large(1'000, 'x');
    for (std::uint64_t turn = 1; turn <= 1'000; ++turn) {
      const Ballot ballot{kind == 0 ? 1 : turn, {2}};
      if (kind == 0 && turn <= 500)
        one.hear(2, Accept{.ballot = ballot, .first = {turn}, .entries = {command(large)}, .chosen = {}});
      if (kind == 0 || kind == 1) one.hear(2, Heartbeat{.ballot = ballot, .number = {turn}});
      if (kind == 2) one.hear(2, Prepare{.ballot = ballot, .above = {}});
      if (kind == 3)
        one.hear(2, ChosenEntries{.first = {turn}, .entries = {command(large)}, .chosen = {1'000}});
      one.hear(3, AskStanding{.above = {}, .everything = true, .fence = {turn, {3}}, .start = {}});
      one.pass(30ms);
      ASSERT_LE(one.log().unwritten_bytes(), limits.unwritten_bytes + 2'000) << kind;
      ASSERT_LE(one.log().held_bytes(), limits.held_bytes + limits.message_bytes) << kind;
    }
    EXPECT_GT(one.log().unwritten_bytes() + one.log().held_bytes(), 20'000U) << kind << ": it came to that";
    const auto taken = one.records().size();
    one.write();
    EXPECT_EQ(one.log().unwritten_bytes(), 0U);
    EXPECT_EQ(one.log().held_bytes(), 0U);
    if (kind == 3) {
      const Slot next{one.log().chosen().value + 1};
      EXPECT_LT(next.value, 101U);
      one.hear(2, ChosenEntries{.first = next, .entries = {command(large)}, .chosen = next});
      EXPECT_EQ(one.log().chosen(), next);
    } else {
      one.hear(2, Accept{.ballot = {2'000, {2}}, .first = {1}, .entries = {command(large)}, .chosen = {}});
      EXPECT_GT(one.records().size(), taken);
    }
  }
}

// What is taken over behind a cut tail has no more room than anything else, and comes as the disk goes on.
TEST(Hostile, CutTailIsTakenOverAsItsDiskGoesOn) {
  OneReplica one(3, {.unwritten_bytes = 3'000});
  one.start(true);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  for (std::uint64_t slot = 1; slot <= 9; ++slot)
    shown.accepted.push_back({{slot}, {1, {2}}, command(std::string(1'000, 'x'))});
  shown.promised = {1, {2}};
  one.hear(2, shown);
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.pass(1s);
  for (int turn = 0; turn < 5; ++turn) {
    EXPECT_EQ(one.log().standing(), Standing::State::kRecovering) << turn;
    EXPECT_LE(one.log().unwritten_bytes(), 3'000U);
    one.write();
  }
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
  EXPECT_EQ(std::ranges::count_if(
                one.records(),
                [](const DurableRecord& record) { return std::holds_alternative<Accepted>(record); }),
            9);
}

// Attack 44. Between two parts of an answer its sender learned that more is chosen: nobody tells what it had accepted there.
TEST(Hostile, CutTailFetchesWhatWasChosenBetweenTwoParts) {
  OneReplica one(3);
  one.start(true);
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  shown.promised = {1, {2}};
  shown.accepted = {{{1}, {1, {2}}, command("a")}};
  shown.through = Slot{1};
  one.hear(2, shown);
  shown.chosen = {3};
  shown.accepted = {{{4}, {1, {2}}, command("d")}};
  shown.above = {1};
  shown.through.reset();
  one.hear(2, shown);
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  ASSERT_FALSE(one.sent<Fetch>({2}).empty());
  one.hear(2,
           ChosenEntries{.first = {1}, .entries = {command("a"), command("b"), command("c")}, .chosen = {3}});
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

// Nor is what it accepted without end, whatever it was told is chosen; but the next slot stops at nothing.
TEST(Hostile, AcceptorTakesTheNextSlotThoughItIsFull) {
  OneReplica one(3, {.accepted_bytes = 3'000});
  one.be_allowed_to_vote();
  const std::string large(1'000, 'x');
  const auto accept = [&](std::uint64_t slot) {
    one.hear(2, Accept{.ballot = {1, {2}}, .first = {slot}, .entries = {command(large)}, .chosen = {}});
    return one.sent<AcceptedThrough>({2}).size();
  };
  EXPECT_EQ(accept(2), 1U);
  EXPECT_EQ(accept(3), 2U);
  EXPECT_EQ(accept(4), 2U);
  EXPECT_EQ(accept(1), 3U);
  one.write();
  one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {1}, .chosen = {3}});
  EXPECT_EQ(one.log().chosen(), Slot{3});
  EXPECT_EQ(accept(4), 4U);
}

// [L5] What a process is started with does not count: what the group's log says does, and for how long a start waits goes along
// into every new segment.
TEST(Hostile, LeaseTermsAreTheGroupsAndAreSaidAgain) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto waits = [&] {
    std::vector<Duration> all;
    for (const auto& record : one.log().restated({}))
      if (const auto* wait = std::get_if<WaitsAfterStart>(&record)) all.push_back(wait->wait);
    EXPECT_EQ(all.size(), 1U);
    return all.back();
  };
  EXPECT_EQ(waits(), LeaseTerms{}.waited());
  auto next = with_majorities({{1}, {2}, {3}});
  next.lease_terms = {.length = 400ms, .drift_ppm = 20'000};
  one.hear(2, ChosenEntries{.first = {1}, .entries = {ChangeConfiguration{next}}, .chosen = {1}});
  EXPECT_EQ(waits(), next.lease_terms.waited());
  const auto granted = [&](std::uint64_t number) {
    one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {number}, .chosen = {1}});
    return one.sent<HeartbeatSeen>({2}).back().granted;
  };
  EXPECT_EQ(granted(1), LeaseTerms{}) << "nothing longer is in its log";
  one.write();
  EXPECT_EQ(granted(2), LeaseTerms{}) << "it may be lost with the last batch";
  one.write();
  EXPECT_EQ(granted(3), next.lease_terms);
  // Of a change back it says less when the longer grant has run out.
  next.lease_terms = {};
  one.hear(2, ChosenEntries{.first = {2}, .entries = {NoOp{}}, .chosen = {2}});
  const auto longer = waits();
  one.hear(2, ChosenEntries{.first = {3}, .entries = {ChangeConfiguration{next}}, .chosen = {3}});
  EXPECT_EQ(waits(), longer) << "one change at a time: this one may not follow yet";
}

// [L3], [L5] What a start waits by may stand in the log's last batch until something is written behind it: no grant leaves before.
TEST(Hostile, GrantLeavesWhenTheStartIsDurable) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {1}});
  one.write();
  one.start();
  for (const std::uint32_t other : {2U, 3U})
    one.hear(other, OneReplica::answer(one.sent<AskStanding>({other}).front()));
  one.hear(2, Heartbeat{.ballot = {1, {2}}, .number = {2}});
  const auto sends = one.done<Send>();
  ASSERT_TRUE(std::holds_alternative<HeartbeatSeen>(sends.back().message));
  EXPECT_TRUE(std::get<HeartbeatSeen>(sends.back().message).granted);
  EXPECT_EQ(sends.back().after.value, one.records().size());
}

// [L3] The ballot was promised by accepting in it, which is not durable yet: after a crash and a start it would not be
// known, and nothing would be waited for.
TEST(Hostile, GrantLeavesWhenTheAcceptanceThatPromisedIsDurable) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.hear(2, Accept{.ballot = {5, {2}}, .first = {1}, .entries = {command("early")}, .chosen = {}});
  const auto accepted = one.records().size();
  one.hear(2, Heartbeat{.ballot = {5, {2}}, .number = {1}});
  const auto sends = one.done<Send>();
  ASSERT_TRUE(std::holds_alternative<HeartbeatSeen>(sends.back().message));
  EXPECT_TRUE(std::get<HeartbeatSeen>(sends.back().message).granted);
  EXPECT_GE(sends.back().after.value, accepted);
}

// A promise of many parts, over a slow line, takes longer than anybody's silence: begun anew each time it would never end.
TEST(Hostile, CandidateGoesOnWhilePartsOfAPromiseCome) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  constexpr std::uint64_t kParts = 40;
  for (std::uint64_t part = 1; part <= kParts; ++part) {
    ASSERT_FALSE(one.log().is_leading());
    Promise promise{.ballot = ballot,
                    .chosen = {},
                    .accepted = {{{part}, {0, {2}}, command("old")}},
                    .position = {},
                    .above = {part - 1}};
    if (part < kParts) promise.through = Slot{part};
    one.hear(2, promise);
    one.pass(30ms);
  }
  EXPECT_TRUE(one.log().is_leading());
  EXPECT_EQ(one.sent<Prepare>({2}).back().ballot, ballot);
}

// [L5] A snapshot came from another replica, with shorter terms, and the crash before anything was written of them: what was
// granted by the first configuration is waited for.
TEST(Hostile, StartWaitsByTheFirstTermsUntilItsLogSaysLess) {
  auto configuration = with_majorities({{1}, {2}, {3}});
  Restored restored;
  ASSERT_TRUE(restored.take(ConfiguredFrom{{1}, configuration}));
  configuration.lease_terms.length = 50ms;
  restored.configured = {{Slot{100}, configuration}};
  EXPECT_EQ(restored.waits(), LeaseTerms{}.waited());
  ASSERT_TRUE(restored.take(WaitsAfterStart{51'001us}));
  EXPECT_EQ(restored.waits(), 51'001us);
  ASSERT_TRUE(restored.take(WaitsAfterStart{200ms}));
  EXPECT_EQ(restored.waits(), 200ms);
}

// What the leader of old wrote, and has not durably, has no room for what it adopts: it is proposed as the disk goes on.
TEST(Hostile, LeaderWithoutRoomProposesAsItsDiskGoesOn) {
  OneReplica one(3, {.unwritten_bytes = 2'000});
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  const auto large = command(std::string(900, 'x'));
  Promise promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}};
  for (std::uint64_t slot = 1; slot <= 9; ++slot)
    promise.accepted.push_back({{slot}, {0, {2}}, large});
  one.hear(2, promise);
  ASSERT_TRUE(one.log().is_leading());
  EXPECT_LE(one.log().unwritten_bytes(), 3'000U);
  EXPECT_FALSE(one.log().can_propose());
  for (int turn = 0; turn < 9; ++turn)
    one.write();
  EXPECT_EQ(one.sent<Accept>({2}).size(), 9U);
}

// Not even for the first: nobody's acceptance will remind it.
TEST(Hostile, LeaderWithoutAnyRoomBeginsAsItsDiskGoesOn) {
  OneReplica one(3, {.unwritten_bytes = 2'000});
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  while (one.log().unwritten_bytes() < 2'000U)
    one.step(SnapshotTaken{one.log().chosen()});
  one.hear(
      2,
      Promise{.ballot = ballot, .chosen = {}, .accepted = {{{1}, {0, {2}}, command("old")}}, .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  EXPECT_TRUE(one.sent<Accept>({2}).empty());
  one.write();
  EXPECT_EQ(one.sent<Accept>({2}).size(), 1U);
}

// Nor more than may be accepted: the next slot comes when one is chosen.
TEST(Hostile, LeaderProposesWhatItHasRoomToAccept) {
  OneReplica one(3, {.accepted_bytes = 2'000});
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  std::uint64_t slot = 0;
  for (; one.log().can_propose(); ++slot)
    one.step(EntryOffered{command(std::string(900, 'x'))});
  EXPECT_LE(one.log().accepted_bytes(), 3'000U);
  one.write();
  one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {slot}, .position = {}});
  EXPECT_TRUE(one.log().can_propose());
}

// Attack 25. The others are a write quorum, and its own disk hangs: what it keeps in memory for the log would grow for
// ever.
TEST(Hostile, LeaderWhoseOwnDiskHangsResigns) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  std::uint64_t slot = 0;
  for (int turn = 0; turn < 100 && one.log().is_leading(); ++turn) {
    one.pass(30ms);
    if (!one.log().can_propose()) continue;
    one.step(EntryOffered{command("x")});
    ++slot;
    for (const std::uint32_t other : {2U, 3U})
      one.hear(other, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {slot}, .position = {}});
  }
  EXPECT_FALSE(one.log().is_leading());
  EXPECT_GT(one.log().chosen().value, 20U);
}

// Attacks 13, 44. What it takes over reveals a change, and the one who votes by it was a learner: it has to be asked, too.
TEST(Hostile, CutTailIsTakenOverFromWhomARevealedChangeLetsVote) {
  OneReplica one(2);
  one.start(true);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  shown.promised = {1, {2}};
  shown.accepted = {{{1}, {1, {2}}, ChangeConfiguration{with_majorities({{1}, {2}, {3}})}}};
  one.hear(2, shown);
  one.pass(1s);
  ASSERT_FALSE(one.sent<AskStanding>({3}).empty());
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).back()));
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

// One that knew more to be chosen may forget it in a start, and nobody else may know it. It tells what it accepted then.
TEST(Hostile, CutTailIsTakenOverFromOneThatForgotWhatIsChosen) {
  OneReplica one(3);
  one.start(true);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  one.hear(3, shown);
  shown.promised = {1, {2}};
  shown.chosen = {1};
  one.hear(2, shown);
  const auto asked = one.sent<AskStanding>({2}).size();
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  ASSERT_GT(one.sent<AskStanding>({2}).size(), asked);
  shown.chosen = {};
  shown.accepted = {{{1}, {1, {2}}, command("x")}};
  one.hear(2, shown);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
  EXPECT_EQ(one.log().chosen(), Slot{});
  EXPECT_TRUE(std::ranges::any_of(one.records(), [](const DurableRecord& record) {
    const auto* accepted = std::get_if<Accepted>(&record);
    return accepted != nullptr && accepted->entry == command("x");
  }));
}

// One that can follow nothing is waited for by nobody.
TEST(Hostile, CutTailIsTakenOverThoughItRevealsAnImpossibleChange) {
  OneReplica one(2);
  one.start(true);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  shown.promised = {1, {2}};
  shown.accepted = {{{1}, {1, {2}}, ChangeConfiguration{{.voters = {}, .quorums = {}, .learners = {}}}}};
  one.hear(2, shown);
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

// Attack 13. Two changes that a candidate did not know: the second may follow the first only, and counts all the same.
TEST(Hostile, ChangeThatFollowsARevealedOneIsRevealed) {
  const Configuration first{.voters = {{1}, {2}, {3}, {4}, {5}}, .quorums = {5, 1, 1}, .learners = {}};
  const Configuration second{.voters = first.voters, .quorums = {5, 2, 2}, .learners = {}};
  const Configuration third{.voters = first.voters, .quorums = {4, 3, 3}, .learners = {}};
  ASSERT_TRUE(check_change(first, second) && check_change(second, third) && !check_change(first, third));
  const Membership membership({{Slot{1}, first}}, 2);
  for (const bool in_order : {true, false}) {
    PhaseOne phase({9, {1}});
    Promise promise{.ballot = phase.ballot(), .chosen = {}, .accepted = {}, .position = {}};
    promise.accepted = {{{1}, {1, {2}}, ChangeConfiguration{in_order ? second : third}},
                        {{2}, {1, {2}}, ChangeConfiguration{in_order ? third : second}}};
    EXPECT_FALSE(phase.hear({1}, promise, {}));
    promise.accepted.clear();
    EXPECT_FALSE(phase.hear({2}, promise, {}));
    EXPECT_FALSE(phase.is_won(membership, {})) << "two promised, the third takes three";
    EXPECT_FALSE(phase.hear({3}, promise, {}));
    EXPECT_TRUE(phase.is_won(membership, {}));
  }
}

// Attack 23. What it may have lost may be the highest.
TEST(Hostile, ReplicaThatDoesNotVoteAnswersNoQuorumRead) {
  OneReplica one(3);
  one.start(true);
  one.hear(2, AskHighest{{1}});
  EXPECT_TRUE(one.sent<HighestShown>({2}).empty());
}

// Attacks 13, 23. While a change is chosen and does not count yet, a quorum of either configuration is enough: it meets what
// both of them can have chosen (check_change), and a read waits for no more replicas than it has to.
TEST(Hostile, QuorumReadTakesAQuorumOfAnyConfigurationThatCounts) {
  const auto three = with_majorities({{1}, {2}, {3}});
  const auto four = with_majorities({{1}, {2}, {3}, {4}});
  for (const bool grows : {true, false}) {
    OneReplica one(grows ? 3 : 4, {}, 4);
    one.be_allowed_to_vote();
    one.hear(2, ChosenEntries{
                    .first = {1}, .entries = {ChangeConfiguration{grows ? four : three}}, .chosen = {1}});
    ASSERT_EQ(one.log().membership().above({1}).size(), 2U);
    one.step(QuorumReadAsked{{7}});
    EXPECT_TRUE(one.done<ReadAt>().empty());
    one.hear(2,
             HighestShown{.number = one.sent<AskHighest>({2}).back().number, .highest = {1}, .chosen = {1}});
    EXPECT_EQ(one.done<ReadAt>().size(), 1U) << "two of three";
  }
}

// Attacks 13, 23. Two changes were chosen of which it has not heard when it is asked: the answers lead to them, and a quorum
// of what was known then is none any more; who votes now is asked, too.
TEST(Hostile, QuorumReadFollowsChangesThatItDidNotKnow) {
  OneReplica one(3, {}, 4);
  one.be_allowed_to_vote();
  const auto four = with_majorities({{1}, {2}, {3}, {4}});
  const Configuration five{.voters = {{1}, {2}, {3}, {4}, {5}}, .quorums = {3, 3, 4}, .learners = {}};
  ASSERT_TRUE(check_change(with_majorities({{1}, {2}, {3}}), four) && check_change(four, five));
  one.step(QuorumReadAsked{{7}});
  const auto number = one.sent<AskHighest>({2}).back().number;
  one.hear(2, HighestShown{.number = number, .highest = {9}, .chosen = {9}});
  EXPECT_TRUE(one.done<ReadAt>().empty()) << "two of three, and what they accepted is not known here";
  one.hear(2, ChosenEntries{.first = {1},
                            .entries = {ChangeConfiguration{four}, NoOp{}, NoOp{}, NoOp{}, NoOp{},
                                        ChangeConfiguration{five}, NoOp{}, NoOp{}, command("x")},
                            .chosen = {9}});
  EXPECT_TRUE(one.done<ReadAt>().empty()) << "two, and four are to be heard";
  one.pass(60ms);
  ASSERT_FALSE(one.sent<AskHighest>({5}).empty());
  EXPECT_EQ(one.sent<AskHighest>({5}).back().number, number);
  one.hear(4, HighestShown{.number = number, .highest = {}, .chosen = {}});
  EXPECT_TRUE(one.done<ReadAt>().empty()) << "three, and four are to be heard";
  one.hear(5, HighestShown{.number = number, .highest = {11}, .chosen = {9}});
  EXPECT_TRUE(one.done<ReadAt>().empty()) << "slot 11 may be chosen";
  one.hear(5, ChosenEntries{.first = {10}, .entries = {NoOp{}, NoOp{}}, .chosen = {11}});
  ASSERT_EQ(one.done<ReadAt>().size(), 1U);
  EXPECT_EQ(one.done<ReadAt>().front().slot, Slot{11});
}

// What it is told twice, or is told where it lags, must not move what it waits for: it would wait for ever under load.
TEST(Hostile, QuorumReadWaitsForNothingThatCameLater) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  const auto number = one.sent<AskHighest>({2}).back().number;
  one.hear(2, HighestShown{.number = number, .highest = {1}, .chosen = {1}});
  one.pass(60ms);
  ASSERT_EQ(one.sent<AskHighest>({2}).size(), 2U) << "the fetch may be lost";
  one.hear(2, HighestShown{.number = number, .highest = {5}, .chosen = {5}});
  one.hear(2, ChosenEntries{.first = {1}, .entries = {command("a")}, .chosen = {1}});
  ASSERT_EQ(one.done<ReadAt>().size(), 1U);
  EXPECT_EQ(one.done<ReadAt>().front().slot, Slot{1});
}

// What it waits for may come whole, as a snapshot.
TEST(Hostile, SnapshotAnswersTheReadsThatWaited) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  one.step(SessionReadAsked{.ticket = {8}, .token = {{}, {9}}, .until = one.now() + 10ms});
  EXPECT_LE(one.log().wakes_at(), one.now() + 10ms) << "to say that it is late";
  one.hear(2, HighestShown{.number = one.sent<AskHighest>({2}).back().number, .highest = {9}, .chosen = {9}});
  EXPECT_TRUE(one.done<ReadAt>().empty());
  one.step(SnapshotInstalled{.slot = {9}, .configured = {{Slot{1}, with_majorities({{1}, {2}, {3}})}}});
  EXPECT_EQ(one.done<ReadAt>().size(), 2U);
}

// [C6] A thousand reads without a lease cost two rounds, and as many quorum reads cost two questions.
TEST(Hostile, ReadsOfOneMomentShareTheirMessages) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  one.forget_effects();
  for (std::uint64_t ticket = 1; ticket <= 1'000; ++ticket) {
    one.step(ReadAsked{{ticket}});
    one.step(QuorumReadAsked{{1'000 + ticket}});
  }
  for (int round = 0; round < 2; ++round) {
    one.hear(2, HeartbeatSeen{.ballot = ballot, .number = one.sent<Heartbeat>({2}).back().number});
    one.hear(2, HighestShown{.number = one.sent<AskHighest>({2}).back().number, .highest = {}, .chosen = {}});
  }
  EXPECT_EQ(one.done<ReadAt>().size(), 2'000U);
  EXPECT_EQ(one.sent<Heartbeat>({2}).size(), 2U);
  EXPECT_EQ(one.sent<AskHighest>({2}).size(), 2U);
  // One whose asker gave up holds up nobody.
  one.step(QuorumReadAsked{{1}});
  one.step(QuorumReadAsked{{2}});
  one.step(ReadGivenUp{{1}});
  EXPECT_EQ(one.sent<AskHighest>({2}).size(), 4U);
}

// Alone, and woken late: its lease ran out meanwhile.
TEST(Hostile, ReadOfAGroupOfOneWaitsForNobody) {
  OneReplica one(1);
  one.write();
  one.step(TimePassed{});
  one.write();
  ASSERT_TRUE(one.log().is_leading());
  one.forget_effects();
  one.pass_silently(10s);
  one.step(ReadAsked{{1}});
  one.step(QuorumReadAsked{{2}});
  EXPECT_EQ(one.done<ReadAt>().size(), 2U);
}

// [C2] What is shown to one that takes it over counts as known by two: it must not be lost here.
TEST(Hostile, AcceptanceIsShownWhenItIsDurable) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.hear(2, Accept{.ballot = {1, {2}}, .first = {1}, .entries = {command("x")}, .chosen = {}});
  one.hear(3, AskStanding{.above = {}, .everything = true, .start = {}});
  const auto sends = one.done<Send>();
  const auto shown = std::ranges::find_if(sends, [](const Send& send) {
    const auto* standing = std::get_if<StandingShown>(&send.message);
    return standing != nullptr && !standing->accepted.empty();
  });
  ASSERT_NE(shown, sends.end());
  EXPECT_EQ(shown->after.value, one.records().size());
}

// Memory: what a leader says is bounded by what is known to be chosen.
TEST(Hostile, AcceptorTakesNothingBeyondTwoWindows) {
  OneReplica one(3, {}, 4);
  one.be_allowed_to_vote();
  one.hear(2, Accept{.ballot = {1, {2}},
                     .first = {7},
                     .entries = {command("7"), command("8"), command("9"), command("10")},
                     .chosen = {}});
  ASSERT_EQ(one.sent<AcceptedThrough>({2}).size(), 1U);
  EXPECT_EQ(one.sent<AcceptedThrough>({2}).front().last, Slot{8});
}

// Attack 26. One of three votes when one other has answered: not before.
TEST(Hostile, StartIsNotVouchedForByItself) {
  OneReplica one(3);
  one.pass(10s);
  EXPECT_EQ(one.log().standing(), Standing::State::kAsking);
}

constexpr std::uint64_t kHuge = ~std::uint64_t{0};

// Attack 35. Of each kind one message with numbers that no group can have come to, at every stage: it goes on, and leads.
TEST(Hostile, DamagedNumbersAbortNobodyAndUseNothingUp) {
  for (const std::uint64_t huge : {kHuge, kHuge - 1, kHuge / 2, kMostRoundsAhead, kMostRoundsAhead + 1}) {
    const std::vector<Accepted> far{{{huge}, {huge, {2}}, command("far")}};
    for (int stage = 0; stage < 5; ++stage) {
      OneReplica one(3);
      const auto damage = [&] {
        for (const Ballot ballot :
             {Ballot{huge, {2}}, Ballot{huge, {0}}, Ballot{1, {2}}, one.log().promised()}) {
          one.hear(2, PreVote{ballot});
          one.hear(2, PreVoteGranted{ballot});
          one.hear(2, Promise{ballot, {}, far, {huge, {huge}}});
          one.hear(2, AcceptedThrough{ballot, {0}, {huge}, {}});
          one.hear(2, HeartbeatSeen{ballot, {huge}, {huge}, {}, Instant::max(), LeaseTerms{}});
          one.hear(2, Release{{ballot, {huge == 1 ? 1U : 9U}}});
        }
        one.hear(2, Refused{{1, {1}}, {huge, {2}}, ReplicaId{9}});
        one.hear(2, Accept{{0, {2}}, {huge}, {command("x"), command("y")}, {huge}});
        one.hear(2, Fetch{{huge}});
        one.hear(2, ChosenEntries{{huge}, {command("x"), command("y")}, {huge}});
        one.hear(2, HighestShown{{huge}, {huge}, {huge}});
        one.hear(2, AskStanding{{huge}, true, {}, {huge}});
        one.hear(2, StandingShown{{}, {huge, {2}}, {}, far, one.sent<AskStanding>({2}).back().start});
      };
      if (stage == 1) damage();
      one.be_allowed_to_vote();
      if (stage == 2) damage();
      auto ballot = one.ask_and_prepare();
      if (stage == 3) damage();
      if (stage == 3 && huge <= kMostRoundsAhead + 1) {
        // As far as an election could have come: it gives way to it.
        one.forget_effects();
        ballot = one.ask_and_prepare();
      }
      one.hear(3, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
      ASSERT_TRUE(one.log().is_leading()) << huge << " at stage " << stage;
      if (stage == 4) damage();
      EXPECT_LE(one.log().promised().round, kMostRoundsAhead + 2) << huge << " at stage " << stage;
      EXPECT_EQ(one.log().chosen(), Slot{});
    }
  }
}

// Of a cut tail everything that others say is taken over, and written.
TEST(Hostile, DamagedNumbersAreNotTakenOver) {
  OneReplica one(3);
  one.start(true);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).front());
  shown.accepted = {{{kHuge}, {1, {2}}, command("far")}};
  one.hear(2, shown);
  shown.accepted.clear();
  shown.promised = {kHuge, {2}};
  one.hear(2, shown);
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  one.hear(2, OneReplica::answer(one.sent<AskStanding>({2}).front()));
  one.pass(1s);
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

TEST(Hostile, AcceptOfNothingIsNotAnswered) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.hear(2, Accept{.ballot = {1, {2}}, .first = {}, .entries = {}, .chosen = {}});
  one.write();
  EXPECT_TRUE(one.sent<AcceptedThrough>({2}).empty());
}

// A change that may not follow is nobody's configuration: neither while it is adopted, nor when it is chosen.
TEST(Hostile, AdoptedChangeThatCannotBeCountsNowhere) {
  for (const auto& impossible :
       {Configuration{.voters = {{1}, {2}, {3}}, .quorums = {9, 9, 9}, .learners = {}},
        Configuration{.voters = {}, .quorums = {0, 0, 0}, .learners = {}},
        Configuration{.voters = {{7}, {8}, {9}}, .quorums = {2, 2, 2}, .learners = {}}}) {
    OneReplica one(3);
    one.be_allowed_to_vote();
    const auto ballot = one.ask_and_prepare();
    one.hear(2, Promise{.ballot = ballot,
                        .chosen = {},
                        .accepted = {{{1}, {0, {3}}, ChangeConfiguration{impossible}}},
                        .position = {}});
    ASSERT_TRUE(one.log().is_leading());
    one.hear(2, HeartbeatSeen{.ballot = ballot, .number = {1}, .sent = one.now(), .granted = LeaseTerms{}});
    EXPECT_TRUE(one.log().holds_lease(one.now()));
    one.pass(10ms);
    one.write();
    one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {1}, .position = {}});
    EXPECT_TRUE(one.log().is_leading());
    EXPECT_EQ(one.log().chosen(), Slot{1});
    EXPECT_EQ(one.log().membership().newest().voters.size(), 3U);
  }
}

// [L4] Two changes in flight: the first is the one that comes into effect.
TEST(Hostile, EveryChangeInFlightCountsForTheLease) {
  OneReplica one(4);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  for (const std::uint32_t other : {2U, 3U})
    one.hear(other, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  one.hear(2, HeartbeatSeen{.ballot = ballot, .number = {1}, .sent = one.now(), .granted = LeaseTerms{}});
  ASSERT_TRUE(one.log().holds_lease(one.now()));
  // A lease of it takes three grants.
  const Configuration narrow{.voters = {{1}, {2}, {3}, {4}}, .quorums = {4, 2, 2}, .learners = {}};
  one.step(EntryOffered{ChangeConfiguration{narrow}});
  EXPECT_FALSE(one.log().holds_lease(one.now()));
  one.step(EntryOffered{ChangeConfiguration{with_majorities({{1}, {2}, {3}, {4}})}});
  EXPECT_FALSE(one.log().holds_lease(one.now()));
}

}  // namespace
}  // namespace troth::coordinator::consensus
