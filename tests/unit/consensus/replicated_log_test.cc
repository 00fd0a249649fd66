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
    EXPECT_TRUE(world.is_even());
    expect_sound(world, seed);
  }
}

// Faults of every kind, then none: whatever was chosen stays, and the group goes on.
WorldCounts storm(std::uint64_t seed) {
  Random random(seed * 7919);
  const auto& shape = kShapes[random.below(kShapes.size())];
  GroupLimits limits;
  if (random.one_in(2))
    limits = {.window = 4,
              .in_flight_bytes = 400,
              .message_bytes = 200,
              .kept_bytes = 2'000,
              .unwritten_chosen = 8};
  GroupWorld world(seed, shape.replicas, shape.quorums, limits);
  world.set_faults({.lost = static_cast<std::uint32_t>(random.one_in(2) ? 0 : random.below(200)),
                    .doubled = static_cast<std::uint32_t>(random.below(100)),
                    .late = static_cast<std::uint32_t>(random.one_in(2) ? 0 : random.below(200))});
  if (random.one_in(3)) world.set_sync_time(50ms);
  const auto ids = world.ids();
  const auto anybody = [&] { return ids[random.below(ids.size())]; };
  const auto leader_or_anybody = [&] {
    return random.one_in(2) ? world.leader().value_or(anybody()) : anybody();
  };
  int number = 0;
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
      default:
        for (auto left = 1 + random.below(6); left > 0; --left)
          world.propose(std::to_string(++number));
        break;
    }
    if (random.one_in(5)) world.start(anybody());
    for (const auto id : ids)
      if (world.log(id) != nullptr && world.log(id)->is_leading() && random.one_in(3)) world.read(id);
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
  expect_sound(world, seed);
  return world.counts();
}

TEST(ReplicatedLog, NoFaultMakesTwoEntriesOfOneSlot) {
  WorldCounts all;
  const auto add = [](WorldCounts& a, const WorldCounts& b) {
    a.elected += b.elected;
    a.stopped += b.stopped;
    a.delivered += b.delivered;
    a.reads += b.reads;
    a.leased_reads += b.leased_reads;
    a.snapshots += b.snapshots;
    a.crashes += b.crashes;
    a.changes += b.changes;
  };
  for (std::uint64_t seed = 1; seed <= 1000 && !testing::Test::HasFailure(); ++seed)
    add(all, storm(seed));
  std::printf(
      "elected %lu stopped %lu delivered %lu reads %lu leased %lu snapshots %lu crashes %lu changes %lu\n",
      all.elected, all.stopped, all.delivered, all.reads, all.leased_reads, all.snapshots, all.crashes,
      all.changes);
}

}  // namespace
}  // namespace troth::coordinator::consensus
