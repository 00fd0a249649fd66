// Groups of replicas in virtual time. The scripts beside this show one replica, step by step.
#include "coordinator/consensus/replicated_log.h"

#include <gtest/gtest.h>

#include "tests/unit/consensus/group_world.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

void expect_sound(const GroupWorld& world, std::uint64_t seed) {
  for (const auto& broken : world.broken())
    ADD_FAILURE() << "seed " << seed << ": " << broken;
}

// Three of three, five of five, and quorums that are no majorities.
struct Shape {
  std::size_t replicas;
  Quorums quorums;
};
const std::vector<Shape> kShapes{
    {1, {1, 1, 1}}, {3, {2, 2, 2}}, {5, {3, 3, 3}}, {5, {2, 4, 4}}, {4, {2, 3, 3}}};

TEST(ReplicatedLog, GroupElectsALeaderAndChoosesWhatItIsOffered) {
  for (const auto& shape : kShapes) {
    GroupWorld world(1, shape.replicas, shape.quorums);
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s)) << shape.replicas;
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(world.propose(std::to_string(i)));
      world.run_for(1ms);
    }
    ASSERT_TRUE(world.run_until([&] { return world.counts().delivered == 100 && world.is_even(); }, 1s));
    EXPECT_EQ(world.counts().elected, 1U);
    expect_sound(world, 1);
  }
}

TEST(ReplicatedLog, DeadLeaderIsReplacedInAFractionOfASecond) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2});
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const auto first = *world.leader();
    world.crash(first);
    EXPECT_TRUE(world.run_until([&] { return world.leader() && world.leader() != first; }, 400ms)) << seed;
    expect_sound(world, seed);
  }
}

TEST(ReplicatedLog, SilentLeaderIsReplaced) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2});
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const auto first = *world.leader();
    world.pause(first, 10s);
    EXPECT_TRUE(world.run_until([&] { return world.leader() != first; }, 2s)) << seed;
    ASSERT_TRUE(world.run_until([&] { return world.propose("after it").has_value(); }, 1s));
    world.run_for(11s);
    EXPECT_TRUE(world.was_delivered("after it"));
    EXPECT_TRUE(world.run_until([&] { return world.is_even(); }, 1s));
    expect_sound(world, seed);
  }
}

// Attack 37. A round trip after the hand-over somebody leads.
TEST(ReplicatedLog, LeadIsHandedOverInAMoment) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2});
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const ReplicaId successor{world.leader() == ReplicaId{1} ? 2U : 1U};
    world.propose("before it");
    world.transfer(successor);
    EXPECT_TRUE(world.run_until([&] { return world.leader() == successor; }, 30ms)) << seed;
    EXPECT_TRUE(world.was_delivered("before it"));
    expect_sound(world, seed);
  }
}

// Neither a successor that is silent, nor one that falls silent as soon as it has the lead, keeps the group from its work for
// as long as a dead leader does.
TEST(ReplicatedLog, SilentSuccessorCostsAFractionOfASecond) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2});
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const auto leader = *world.leader();
    const ReplicaId successor{leader == ReplicaId{1} ? 2U : 1U};
    bool released = false;
    if (seed % 2 == 0) {
      world.isolate(successor);
      world.transfer(successor);
      EXPECT_TRUE(world.run_until([&] { return world.propose("after it").has_value(); }, 250ms)) << seed;
      EXPECT_EQ(world.leader(), leader);
      EXPECT_EQ(world.counts().elected, 1U);
    } else {
      world.observe([&](ReplicaId, const ReplicaEffect& effect) {
        const auto* send = std::get_if<Send>(&effect);
        if (released || send == nullptr || !std::holds_alternative<TakeOver>(send->message)) return;
        released = true;
        world.isolate(successor);
      });
      world.transfer(successor);
      EXPECT_TRUE(world.run_until([&] { return released && world.propose("after it").has_value(); }, 600ms))
          << seed;
    }
    EXPECT_TRUE(world.run_until([&] { return world.was_delivered("after it"); }, 100ms)) << seed;
    expect_sound(world, seed);
  }
}

// Attack 13. Nobody waits for a silence when a leader is removed, whether it has work or not.
TEST(ReplicatedLog, RemovedLeaderIsFollowedInAMoment) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2}, {}, seed % 2 == 0 ? 4 : kWindow);
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const auto leader = *world.leader();
    Replicas remaining{{1}, {2}, {3}};
    remaining.erase(leader);
    const auto elected = world.counts().elected;
    ASSERT_TRUE(world.change(with_majorities(remaining)));
    if (seed % 3 == 0) world.propose("beside it");
    EXPECT_TRUE(world.run_until([&] { return world.leader() && remaining.contains(*world.leader()); }, 30ms))
        << seed;
    EXPECT_EQ(world.counts().elected, elected + 1) << "nobody else tried: " << seed;
    ASSERT_TRUE(world.propose("after it"));
    EXPECT_TRUE(world.run_until([&] { return world.was_delivered("after it"); }, 100ms)) << seed;
    expect_sound(world, seed);
  }
}

// Any change by one replica, or of the quorums; most of them are refused.
void change_something(GroupWorld& world, Random& random, bool majorities) {
  const auto leads = world.leader();
  if (!leads) return;
  auto next = world.log(*leads)->membership().newest();
  const auto any_of = [&](const Replicas& from) {
    return *std::next(from.begin(), static_cast<std::ptrdiff_t>(random.below(from.size())));
  };
  switch (random.below(6)) {
    case 4:
    case 5:
      next.lease_terms.length = Duration(random.between(20'000, 400'000));
      world.change(next);
      return;
    case 0: {
      const ReplicaId added{static_cast<std::uint32_t>(world.ids().size()) + 1};
      if (added.value > 8 || !next.learners.empty()) return;
      next.learners.insert(added);
      if (world.change(next)) world.add_replica(added);
      return;
    }
    case 1:
      if (next.learners.empty()) return;
      next.voters.insert(any_of(next.learners));
      next.learners.clear();
      break;
    case 2: next.voters.erase(any_of(next.voters)); break;
    case 3: break;
  }
  if (next.voters.empty()) return;
  if (majorities || random.one_in(2)) {
    next.quorums = with_majorities(next.voters).quorums;
  } else {
    const auto size = next.size();
    const auto some = [&] { return static_cast<std::uint32_t>(1 + random.below(size)); };
    next.quorums = {some(), some(), some()};
  }
  world.change(next);
}

// Faults of every kind, then none: whatever was chosen stays, and the group goes on.
WorldCounts storm(std::uint64_t seed) {
  Random random(seed * 7919);
  Random snapshots(seed);
  const auto& shape = kShapes[random.below(kShapes.size())];
  GroupLimits limits;
  const bool tight = random.one_in(2);
  if (tight)
    limits = {.in_flight_bytes = 400,
              .message_bytes = 200,
              .accepted_bytes = 500,
              .unwritten_bytes = 800,
              .held_bytes = 1'000,
              .kept_bytes = 2'000,
              .unwritten_chosen = 8,
              .unwritten_chosen_bytes = 1'000};
  GroupWorld world(seed, shape.replicas, shape.quorums, limits, tight ? 4 : kWindow);
  world.set_faults({.lost = static_cast<std::uint32_t>(random.one_in(2) ? 0 : random.below(200)),
                    .doubled = static_cast<std::uint32_t>(random.below(100)),
                    .late = static_cast<std::uint32_t>(random.one_in(2) ? 0 : random.below(200))});
  if (random.one_in(3)) world.set_sync_time(50ms);
  const bool changes = random.one_in(2);
  const bool majorities = random.one_in(2);
  const auto anybody = [&] {
    const auto ids = world.ids();
    return ids[random.below(ids.size())];
  };
  const auto leader_or_anybody = [&] {
    return random.one_in(2) ? world.leader().value_or(anybody()) : anybody();
  };
  // One rotted tail at a time, among any number of torn ones; with a quorum of one nobody else can know.
  std::optional<ReplicaId> rotted;
  const auto lose_tail = [&] {
    const auto id = anybody();
    if (rotted && !world.has_cut_tail(*rotted)) rotted.reset();
    const bool rots =
        !changes && !rotted && std::min(shape.quorums.elect, shape.quorums.write) > 1 && random.one_in(2);
    if (rots) rotted = id;
    if (rots || rotted != id) world.cut_tail(id, rots);
  };
  int number = 0;
  const auto entry = [&] {
    return std::to_string(++number) + std::string(random.one_in(3) ? random.below(300) : 0, '.');
  };
  for (int turn = 0; turn < 400; ++turn) {
    switch (random.below(18)) {
      case 0:
        if (random.one_in(3)) world.crash(leader_or_anybody());
        break;
      case 10:
        if (random.one_in(2)) world.crash_while_writing();
        break;
      case 11: {
        const auto id = leader_or_anybody();
        world.crash(id);
        world.start(id);
        break;
      }
      case 1:
      case 2: world.start(anybody()); break;
      case 3: world.pause(leader_or_anybody(), Duration(random.between(1'000, 900'000))); break;
      case 4: world.cut(anybody(), anybody()); break;
      case 5: {
        const auto id = leader_or_anybody();
        world.isolate(id);
        if (random.one_in(2)) world.reset(id);
        break;
      }
      case 6: world.reset(leader_or_anybody()); break;
      case 7:
        if (random.one_in(2)) world.heal();
        break;
      case 8:
        if (random.one_in(3)) world.transfer(anybody());
        break;
      case 9: world.set_disk_stalled(anybody(), random.one_in(2)); break;
      case 13:
        if (changes) change_something(world, random, majorities);
        break;
      case 12:
        // A quorum of one leaves nobody to ask: that waits for an operator.
        if (random.one_in(2) && (majorities || !changes)) lose_tail();
        break;
      default:
        for (auto left = 1 + random.below(6); left > 0; --left)
          world.propose(entry());
        break;
    }
    if (random.one_in(5)) world.start(anybody());
    // Some take one all the time, some never.
    if (snapshots.one_in(1 + seed % 8 * 4))
      world.take_snapshot({1 + static_cast<std::uint32_t>(snapshots.below(world.ids().size()))});
    for (const auto id : world.ids())
      if (world.log(id) != nullptr && world.log(id)->is_leading() && random.one_in(3)) world.read(id);
    if (random.one_in(4)) world.quorum_read(anybody());
    if (random.one_in(8)) world.session_read(anybody());
    world.run_for(Duration(random.one_in(2) ? random.between(100, 3'000) : random.between(3'000, 80'000)));
  }
  world.heal();
  // Again, where its leader was one no longer.
  for (int attempt = 0; attempt < 20 && !world.was_delivered("the last"); ++attempt) {
    world.propose("the last");
    world.run_for(1s);
  }
  EXPECT_TRUE(world.run_until([&] { return world.was_delivered("the last") && world.is_even(); }, 5s))
      << "seed " << seed;
  for (const auto id : world.ids())
    EXPECT_NE(world.log(id)->standing(), Standing::State::kSetBack) << "seed " << seed << ": nothing was";
  expect_sound(world, seed);
  return world.counts();
}

// Attacks 26, 56. The leader, too, whose acceptances nobody is told of; and however often it is started again: what it learns
// meanwhile fills its log, and is nothing that it said.
TEST(ReplicatedLog, ReplicaThatWasSetBackVotesNoMore) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2});
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    world.run_for(1s);
    const bool leads = seed % 2 == 0;
    const ReplicaId victim = leads ? *world.leader() : ReplicaId{world.leader() == ReplicaId{1} ? 2U : 1U};
    const auto image = world.image(victim);
    for (int i = 0; i < 20; ++i) {
      world.propose(std::to_string(i));
      world.run_for(10ms);
    }
    world.run_for(100ms);
    world.set_back(victim, image);
    for (int start = 0; start < 4; ++start) {
      world.start(victim);
      world.run_for(2s);
      ASSERT_EQ(world.log(victim)->standing(), Standing::State::kSetBack) << "start " << start;
      for (int i = 0; i < 40; ++i) {
        world.propose(std::to_string(start * 100 + i));
        world.run_for(5ms);
      }
      if (start < 3) world.crash(victim);
    }
    EXPECT_TRUE(world.run_until([&] { return world.is_even(); }, 1s)) << "it learns all the same";
    world.crash(*world.leader());
    world.run_for(5s);
    EXPECT_FALSE(world.leader()) << "one vote is no quorum";
    expect_sound(world, seed);
  }
}

// Attack 44: a power cut tears every log's last batch; the group goes on.
TEST(ReplicatedLog, PowerCutOfTheWholeGroupDoesNotStopItForEver) {
  for (const auto& shape : kShapes) {
    GroupWorld world(7, shape.replicas, shape.quorums);
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    for (int i = 0; i < 20; ++i)
      world.propose(std::to_string(i));
    world.run_for(1ms);
    for (const auto id : world.ids())
      world.cut_tail(id, false);
    world.heal();
    ASSERT_TRUE(world.run_until([&] { return world.propose("again").has_value(); }, 5s)) << shape.replicas;
    EXPECT_TRUE(world.run_until([&] { return world.was_delivered("again"); }, 1s));
    EXPECT_EQ(world.counts().tails_taken_over, shape.replicas);
    expect_sound(world, 7);
  }
}

// Growing from one to three to five and back, while clients work.
TEST(ReplicatedLog, GroupGrowsAndShrinksOneReplicaAtATime) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GroupWorld world(seed, 1, {1, 1, 1}, {}, 16);
    ASSERT_TRUE(world.run_until([&] { return world.leader().has_value(); }, 3s));
    int number = 0;
    const auto work_until = [&](const auto& holds) {
      return world.run_until(
          [&] {
            world.propose(std::to_string(++number));
            return holds();
          },
          20s);
    };
    const auto become = [&](const Configuration& next) {
      bool asked = false;
      EXPECT_TRUE(work_until([&] { return asked = asked || world.change(next); }));
      EXPECT_TRUE(work_until([&] {
        const auto leads = world.leader();
        return leads && world.log(*leads)->membership().newest() == next &&
               world.log(*leads)->membership().is_settled(world.log(*leads)->chosen());
      }));
    };
    Replicas voters{{1}};
    for (std::uint32_t id = 2; id <= 5; ++id) {
      auto learning = with_majorities(voters);
      learning.learners = {{id}};
      world.add_replica({id});
      become(learning);
      EXPECT_TRUE(work_until([&] { return world.log({id})->chosen().value + 4 > world.highest().value; }));
      voters.insert({id});
      become(with_majorities(voters));
    }
    for (std::uint32_t id = 1; id <= 4; ++id) {
      voters.erase({id});
      become(with_majorities(voters));
    }
    expect_sound(world, seed);
  }
}

// Who fetches a snapshot needs what follows it: else it would be offered one after the other, for ever.
TEST(ChosenLog, KeepsMoreBehindASnapshotThatIsFetched) {
  Restored restored;
  ChosenLog log(restored, 1'000);
  const auto append = [&](int count) {
    for (; count > 0; --count)
      log.append(NoOp{});
  };
  append(100);
  EXPECT_FALSE(log.behind({50}, 100)) << "gone";
  const auto before = log.before_kept();
  EXPECT_TRUE(log.behind(before, 100));
  log.keep_above(before, 10'000);
  append(100);
  EXPECT_TRUE(log.behind(before, 100)) << "all that follows it";
  append(1'000);
  EXPECT_FALSE(log.behind(before, 100)) << "but for a bound";
  EXPECT_TRUE(log.behind({log.chosen().value - 150}, 100));
  log.keep_above(std::nullopt, 10'000);
  EXPECT_FALSE(log.behind({log.chosen().value - 150}, 100));
  EXPECT_TRUE(log.behind({log.chosen().value - 10}, 100));
  // What lies before the snapshot is not needed.
  log.keep_above(Slot{log.chosen().value + 50}, 10'000);
  append(60);
  EXPECT_FALSE(log.behind({log.chosen().value - 60}, 100));
}

// [C1] to [C6], and that all of it was met.
TEST(ReplicatedLog, NoFaultMakesTwoEntriesOfOneSlot) {
  WorldCounts all;
  for (std::uint64_t seed = 1; seed <= 900 && !testing::Test::HasFailure(); ++seed)
    all += storm(seed);
  EXPECT_GT(all.elected, 600U);
  EXPECT_GT(all.stopped, 300U);
  EXPECT_GT(all.delivered, 6'000U);
  EXPECT_GT(all.reads, 30U);
  EXPECT_GT(all.leased_reads, 1'500U);
  EXPECT_GT(all.quorum_reads, 1'500U);
  EXPECT_GT(all.session_reads, 1'500U);
  EXPECT_GT(all.late_session_reads, 300U);
  EXPECT_GT(all.snapshots, 0U);
  EXPECT_GT(all.logs_cut, 1000U);
  EXPECT_GT(all.changes, 30U);
  EXPECT_GT(all.tails_taken_over, 30U);
  EXPECT_GT(all.full_messages, 1'000U);
  EXPECT_GT(all.parts, 300U);
  EXPECT_GT(all.lease_changes, 60U);
  EXPECT_GT(all.changed_grants, 1'000U);
}

}  // namespace
}  // namespace troth::coordinator::consensus
