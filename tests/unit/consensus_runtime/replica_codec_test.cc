#include "coordinator/consensus/runtime/replica_codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/consensus/consensus_words.h"
#include "tests/unit/consensus/group_world.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

const Ballot kBallot{7, {3}};
const LogPosition kPosition{4, {99}};
const Instant kSent{5s};

Entry command() {
  return Command{std::make_shared<const std::string>("\0\xff bytes", 8)};
}
Entry change() {
  auto next = with_majorities({{1}, {2}, {9}});
  next.learners = {{4}};
  return ChangeConfiguration{next};
}

Configuration with_lease() {
  auto configuration = with_majorities({{1}, {2}});
  configuration.lease_terms = {300ms, 500};
  return configuration;
}

std::vector<Message> every_message() {
  const std::vector<Accepted> accepted{
      {{5}, {6, {2}}, command()}, {{6}, kBallot, NoOp{}}, {{7}, kBallot, change()}};
  return {
      PreVote{kBallot},
      PreVoteGranted{kBallot},
      Prepare{kBallot, {4}},
      Promise{kBallot, {4}, accepted, kPosition},
      Promise{kBallot, {}, {}, {}},
      Promise{kBallot, {4}, accepted, kPosition, {4}, Slot{7}},
      Refused{kBallot, {8, {1}}, ReplicaId{1}},
      Refused{kBallot, {}, std::nullopt},
      Accept{kBallot, {5}, {command(), NoOp{}, change()}, {4}},
      AcceptedThrough{kBallot, {5}, {7}, kPosition},
      Heartbeat{kBallot, {12}, {4}, kSent, {{{1}, kPosition}, {{2}, {}}}},
      HeartbeatSeen{kBallot, {12}, {4}, kPosition, kSent, LeaseTerms{}},
      HeartbeatSeen{kBallot, {12}, {4}, kPosition, kSent, LeaseTerms{300ms, 500}},
      HeartbeatSeen{kBallot, {12}, {4}, kPosition, kSent, std::nullopt},
      Fetch{{3}},
      ChosenEntries{{4}, {command()}, {9}},
      Release{{kBallot, {2}}},
      TakeOver{kBallot, {4}},
      AskStanding{{4}, true, {9, {2}}, {~std::uint64_t{5}}},
      StandingShown{kPosition, kBallot, {4}, accepted, {~std::uint64_t{6}}},
      StandingShown{kPosition, kBallot, {4}, accepted, {~std::uint64_t{6}}, {4}, Slot{7}},
      AskHighest{{17}, {}},
      AskHighest{{17}, {8}},
      HighestShown{{17}, {8}, {7}},
  };
}

std::vector<DurableRecord> every_record() {
  return {Accepted{{5}, kBallot, command()},
          Accepted{{5}, kBallot, NoOp{}},
          Promised{kBallot},
          Learned{{5}, change()},
          ChosenThrough{{5}},
          ConfiguredFrom{{6}, with_majorities({{1}, {2}})},
          Started{3},
          PositionsKnown{{{{1}, kPosition}, {{2}, {}}}},
          ConfiguredFrom{{6}, with_lease()},
          WaitsAfterStart{153'001us},
          StandingAsked{kPosition}};
}

std::string words(const Message& message) {
  return write(Send{{1}, message, {}});
}

TEST(ReplicaCodec, EveryMessageIsReadAsItWasWritten) {
  for (const auto& message : every_message()) {
    const auto bytes = encode_message(message);
    const auto read = decode_message(bytes);
    ASSERT_TRUE(read.has_value()) << words(message) << ": " << read.error().message;
    EXPECT_EQ(read->index(), message.index());
    EXPECT_EQ(words(*read), words(message));
    EXPECT_EQ(encode_message(*read), bytes) << words(message);
  }
  const auto seen = std::get<HeartbeatSeen>(
      *decode_message(encode_message(HeartbeatSeen{kBallot, {1}, {}, {}, kSent, LeaseTerms{300ms, 500}})));
  EXPECT_EQ(seen.sent, kSent);
  EXPECT_EQ(seen.granted, (LeaseTerms{300ms, 500}));
}

TEST(ReplicaCodec, EveryRecordIsReadAsItWasWritten) {
  for (const auto& record : every_record()) {
    const auto read = decode_record(type_of(record), encode_record(record));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, record);
  }
}

// A peer's damaged frame, or one of another version, must never end the process.
TEST(ReplicaCodec, DamagedBytesAreRefusedOrReadAsSomethingElse) {
  for (const auto& message : every_message()) {
    const auto bytes = encode_message(message);
    for (std::size_t end = 0; end < bytes.size(); ++end)
      EXPECT_FALSE(decode_message(std::string_view(bytes).substr(0, end)).has_value())
          << words(message) << " " << end;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        const auto read = decode_message(damaged);
        EXPECT_TRUE(read.has_value() || read.error().code == ErrorCode::kInvalidArgument);
      }
    }
  }
  EXPECT_FALSE(decode_record({99, false}, "").has_value());
}

TEST(ReplicaCodec, WhatNoGroupCanBeIsRefused) {
  const auto two_of_four = ChangeConfiguration{{{{1}, {2}, {3}, {4}}, {2, 2, 2}, {}}};
  const auto read = decode_message(encode_message(Accept{kBallot, {1}, {two_of_four}, {}}));
  ASSERT_FALSE(read.has_value());
  EXPECT_NE(read.error().message.find("elect + write"), std::string::npos) << read.error().message;
  EXPECT_FALSE(decode_message(encode_message(Fetch{{~std::uint64_t{0}}})).has_value());
  for (const auto& terms :
       {LeaseTerms{0us, 500}, LeaseTerms{kLongestLease + 1us, 500}, LeaseTerms{300ms, kMostDriftPpm + 1}})
    EXPECT_FALSE(
        decode_message(encode_message(HeartbeatSeen{.ballot = kBallot, .granted = terms})).has_value());
  EXPECT_FALSE(decode_message(encode_message(PreVote{{5, {0}}})).has_value());
}

// What version 0.1 writes: these bytes stand in logs. Add, never edit.
TEST(ReplicaCodec, GoldenBytesOfTheLog) {
  std::string all;
  for (const auto& record : every_record()) {
    all += fmt::format("{}:", type_of(record).number);
    for (const char byte : encode_record(record))
      all += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    all += " ";
  }
  EXPECT_EQ(
      all,
      "1:160a1c160e1506001c180800ff2062797465730000 1:160a1c160e1506001c0000 2:1c160e15060000 "
      "3:160a1c2c1935020412150415041504191508000000 4:160a00 5:160c1c1925020415041504150419050000 6:160600 "
      "7:1b025c02160816c6010004160016000000 5:160c1c192502041504150415041905063cc0cf2415e8070000 "
      "30:16d2d61200 31:1c160816c6010000 ");
}

// A group whose every message and record goes through its bytes.
TEST(ReplicaCodec, GroupLivesOnBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GroupWorld world(seed, 3, {2, 2, 2}, {.kept_bytes = 1'000}, 8);
    world.send_through(
        [](const Message& message) { return decode_message(encode_message(message)).value(); });
    world.write_through([](const DurableRecord& record) {
      return decode_record(type_of(record), encode_record(record)).value();
    });
    world.set_faults({.lost = 50, .doubled = 50, .late = 50});
    Random random(seed);
    for (int turn = 0; turn < 60; ++turn) {
      world.propose(std::to_string(turn));
      if (random.one_in(10)) world.crash(world.ids()[random.below(3)]);
      if (random.one_in(4)) world.start(world.ids()[random.below(3)]);
      if (random.one_in(10)) {
        auto next = with_majorities({{1}, {2}, {3}});
        if (random.one_in(2)) next.lease_terms = {Duration(random.between(20'000, 300'000)), 10'000};
        world.change(next);
      }
      world.run_for(Duration(random.between(1'000, 100'000)));
    }
    world.heal();
    EXPECT_TRUE(world.run_until([&] { return world.leader() && world.is_even(); }, 10s)) << seed;
    for (const auto& broken : world.broken())
      ADD_FAILURE() << broken;
  }
}

}  // namespace
}  // namespace troth::coordinator::consensus
