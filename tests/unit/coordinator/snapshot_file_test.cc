// Snapshots as bytes: what is written is read, and nothing else is ever taken for one.
#include "coordinator/decision_store/runtime/snapshot_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/runtime/snapshot_directory.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth::coordinator::store {
namespace {

using consensus::Slot;

const ClusterId kCluster{"bank-x7k2p9"};
constexpr const char* kPath = "/data/group-snapshots/000000000042.snapshot";

CommitRecord commit(std::uint64_t sequence, std::size_t label = 8) {
  return {
      {kCluster, {1}, {sequence}, std::nullopt}, {{{1}, {1}}}, std::nullopt, {}, {}, std::string(label, 'l')};
}

std::vector<consensus::ConfiguredFrom> configured() {
  auto next = consensus::with_majorities({{1}, {2}, {3}});
  next.learners = {{4}};
  return {{{7}, consensus::with_majorities({{1}, {2}, {3}})}, {{500}, next}};
}

// A snapshot of so many transactions, at slot 42.
std::vector<std::byte> snapshot_bytes(std::uint64_t transactions, std::size_t label = 8) {
  txlog::FaultyFiles disk(1);
  EXPECT_TRUE(disk.make_directory("/data").has_value());
  auto writer = SnapshotWriter::begin(disk, kPath, kCluster, 77);
  EXPECT_TRUE(writer.has_value());
  EXPECT_TRUE((*writer)->add({EpochRecord{{{1}, {9}}, {}, {}}}).has_value());
  for (std::uint64_t sequence = 1; sequence <= transactions; ++sequence)
    EXPECT_TRUE((*writer)->add({commit(sequence, label)}).has_value());
  EXPECT_TRUE((*writer)->end({42}, configured()).has_value());
  auto file = disk.open(kPath, txlog::OpenMode::kRead);
  std::vector<std::byte> bytes((*file)->size().value());
  EXPECT_EQ((*file)->read_at(0, bytes).value(), bytes.size());
  EXPECT_EQ(bytes.size(), (*writer)->bytes());
  return bytes;
}

Result<ReadSnapshot> read(const std::vector<std::byte>& bytes, const ClusterId& cluster = kCluster) {
  txlog::FaultyFiles disk(1);
  EXPECT_TRUE(disk.make_directory("/data").has_value());
  disk.put(kPath, bytes);
  return read_snapshot(disk, kPath, cluster);
}

TEST(SnapshotFile, WhatIsWrittenIsRead) {
  // Of several batches, some of them of a record that is larger than a batch is meant to be.
  for (const std::size_t label : {8, 3000, 400'000}) {
    auto found = read(snapshot_bytes(300 / (1 + label / 1000), label));
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->name, (SnapshotName{{42}, 77}));
    EXPECT_EQ(found->state.slot.value, 42U);
    EXPECT_EQ(found->state.records.counts().open, 300 / (1 + label / 1000));
    EXPECT_EQ(found->state.records.epoch().nonce.value, 9U);
    ASSERT_EQ(found->configured.size(), 2U);
    EXPECT_EQ(found->configured.at({500}), configured()[1].configuration);
  }
}

TEST(SnapshotFile, ATornOneIsRefusedWhereverItEnds) {
  const auto whole = snapshot_bytes(8, 60'000);
  for (std::size_t end = 0; end < whole.size(); end += end % 4096 < 90 || end % 4096 > 4090 ? 1 : 197) {
    const auto torn = read({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(end)});
    ASSERT_FALSE(torn.has_value()) << end;
    EXPECT_EQ(torn.error().code, ErrorCode::kCorrupt);
  }
}

TEST(SnapshotFile, ADamagedByteIsFoundWhereverItIs) {
  const auto whole = snapshot_bytes(20);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] ^= std::byte{0x10};
    EXPECT_FALSE(read(damaged).has_value()) << at;
  }
}

TEST(SnapshotFile, WhatFollowsTheEndIsRefused) {
  const auto whole = snapshot_bytes(20);
  auto longer = whole;
  longer.resize(longer.size() + 4096);
  EXPECT_FALSE(read(longer).has_value()) << "zeros";
  longer = whole;
  longer.insert(longer.end(), whole.begin() + 4096, whole.end());
  EXPECT_FALSE(read(longer).has_value()) << "its own batches once more";
}

TEST(SnapshotFile, BatchesInAnotherOrderOrLeftOutAreRefused) {
  const auto whole = snapshot_bytes(300, 3000);
  const auto second = static_cast<std::ptrdiff_t>(
      txlog::decode_frame(txlog::Bytes(whole).subspan(4096), txlog::Salt{77})->bytes);
  auto without = whole;
  without.erase(without.begin() + 4096, without.begin() + 4096 + second);
  EXPECT_FALSE(read(without).has_value());
}

TEST(SnapshotFile, AnotherClustersIsRefusedByName) {
  const auto foreign = read(snapshot_bytes(3), {"bank-zzzzzz"});
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(foreign.error().code, ErrorCode::kNotOwner);
  EXPECT_NE(foreign.error().message.find("bank-x7k2p9"), std::string::npos);
}

TEST(SnapshotFile, OneThatContradictsItselfIsRefused) {
  txlog::FaultyFiles disk(1);
  ASSERT_TRUE(disk.make_directory("/data").has_value());
  auto writer = SnapshotWriter::begin(disk, kPath, kCluster, 77);
  auto other = commit(1);
  other.label = "another";
  ASSERT_TRUE((*writer)->add({commit(1), other}).has_value());
  ASSERT_TRUE((*writer)->end({42}, configured()).has_value());
  EXPECT_EQ(read_snapshot(disk, kPath, kCluster).error().code, ErrorCode::kCorrupt);
}

// Every byte of it is on the media when it ends, or the end has failed: what a power cut leaves is whole or refused.
TEST(SnapshotFile, IsDurableWhenItEndsWhateverCallFails) {
  std::size_t whole = 0;
  std::size_t failed = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    txlog::FaultyFiles disk(nth);
    ASSERT_TRUE(disk.make_directory("/data").has_value());
    const SnapshotDirectory directory(disk, "/data/group-snapshots");
    auto lock = directory.lock();
    ASSERT_TRUE(lock.has_value());
    disk.fail_call(nth, false);
    Status done;
    {
      auto writer = SnapshotWriter::begin(disk, directory.taken_path(), kCluster, 77);
      if (!writer) done = std::unexpected(writer.error());
      for (std::uint64_t sequence = 1; done && sequence <= 100; ++sequence)
        done = (*writer)->add({commit(sequence, 30'000)});
      if (done) done = (*writer)->end({42}, configured());
      if (done) done = directory.publish(directory.taken_path(), {42});
    }
    const bool reached = disk.has_failed();
    disk.stop();
    lock->reset();
    disk.resume_after_power_cut();
    const auto newest = directory.newest();
    ASSERT_TRUE(newest.has_value());
    if (done) {
      ASSERT_TRUE(*newest) << nth;
    }
    (done ? whole : failed) += 1;
    if (*newest) {
      const auto found = read_snapshot(disk, directory.path_of(**newest), kCluster);
      EXPECT_TRUE(found.has_value()) << "call " << nth << ": " << found.error().message;
    }
    if (!reached) break;
  }
  EXPECT_EQ(whole, 1U);
  EXPECT_GT(failed, 15U);
}

TEST(SnapshotDirectory, OnlyItsOwnNamesCount) {
  EXPECT_EQ(snapshot_file_name({42}), "000000000042.snapshot");
  EXPECT_EQ(parse_snapshot_file_name("000000000042.snapshot"), Slot{42});
  for (const auto* name : {"42.snapshot", "000000000042.snapshot.new", "taken.new", "LOCK", ".snapshot",
                           "00000000004x.snapshot", "-00000000042.snapshot"})
    EXPECT_FALSE(parse_snapshot_file_name(name)) << name;
}

TEST(SnapshotDirectory, TheNewestCountsAndOlderOnesAndUnfinishedGo) {
  txlog::FaultyFiles disk(1);
  ASSERT_TRUE(disk.make_directory("/data").has_value());
  const SnapshotDirectory directory(disk, "/data/group-snapshots");
  const auto lock = directory.lock();
  ASSERT_TRUE(lock.has_value());
  EXPECT_EQ(directory.lock().error().code, ErrorCode::kNotOwner);
  EXPECT_FALSE(*directory.newest());
  for (const std::uint64_t slot : {7, 900, 42})
    disk.put(directory.path_of({slot}), {});
  disk.put(directory.taken_path(), {});
  EXPECT_EQ(*directory.newest(), Slot{900});
  ASSERT_TRUE(directory.remove_older({42}, false).has_value());
  EXPECT_EQ(disk.list("/data/group-snapshots")->size(), 3U) << "two, and the unfinished one";
  ASSERT_TRUE(directory.remove_older({900}, true).has_value());
  EXPECT_EQ(*directory.newest(), Slot{900});
  EXPECT_EQ(disk.list("/data/group-snapshots")->size(), 1U);
}

// ---- messages

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::vector<SnapshotMessage> every_message() {
  const SnapshotName name{{42}, 0xfedcba9876543210};
  return {SnapshotOffered{name, 12345, kCluster}, ChunkAsked{name, 4096},
          ChunkSent{name, 4096, std::string("\0\xff bytes", 8)}, SnapshotWithdrawn{name}};
}

TEST(SnapshotMessages, WhatIsSentIsReceivedAndIsNoneOfTheLogs) {
  for (const auto& message : every_message()) {
    const auto bytes = encode_snapshot_message(message);
    EXPECT_TRUE(is_snapshot_message(bytes));
    const auto read = decode_snapshot_message(bytes);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, message);
    EXPECT_FALSE(consensus::decode_message(bytes).has_value());
  }
  for (const consensus::Message& message : std::vector<consensus::Message>{
           consensus::PreVote{{7, {3}}}, consensus::Fetch{{3}}, consensus::AskHighest{{17}, {}},
           consensus::HighestShown{{17}, {8}, {7}}}) {
    const auto bytes = consensus::encode_message(message);
    EXPECT_FALSE(is_snapshot_message(bytes));
    EXPECT_FALSE(decode_snapshot_message(bytes).has_value());
  }
  EXPECT_FALSE(is_snapshot_message(""));
}

// What version 0.1 sends: a change here is a change of the protocol.
TEST(SnapshotMessages, GoldenBytes) {
  const std::vector<std::string> golden = {
      "0c401c165416dfb7de9af1d9a2a3020016f2c001180b62616e6b2d78376b3270390000",
      "0c421c165416dfb7de9af1d9a2a302001680400000",
      "0c441c165416dfb7de9af1d9a2a30200168040180800ff20627974657315a1b0f4e2030000",
      "0c461c165416dfb7de9af1d9a2a302000000",
  };
  const auto messages = every_message();
  ASSERT_EQ(golden.size(), messages.size());
  for (std::size_t i = 0; i < golden.size(); ++i)
    EXPECT_EQ(hex(encode_snapshot_message(messages[i])), golden[i]);
}

TEST(SnapshotMessages, ADamagedChunkIsRefusedAndNoBytesCrash) {
  const auto chunk = encode_snapshot_message(every_message()[2]);
  for (const auto& message : every_message()) {
    const auto bytes = encode_snapshot_message(message);
    for (std::size_t end = 0; end < bytes.size(); ++end)
      EXPECT_FALSE(decode_snapshot_message(std::string_view(bytes).substr(0, end)).has_value()) << end;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        std::ignore = is_snapshot_message(damaged);
        const auto read = decode_snapshot_message(damaged);
        if (!read) {
          EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
        } else if (const auto* sent = std::get_if<ChunkSent>(&*read)) {
          EXPECT_EQ(sent->bytes, std::get<ChunkSent>(every_message()[2]).bytes)
              << "its bytes are under a checksum";
        }
      }
    }
  }
}

// A start believes nothing that is not said.
TEST(SnapshotMessages, AnEndThatDoesNotSayWhoCountsTheNextSlotIsRefused) {
  EXPECT_TRUE(decode_snapshot_ended(encode(SnapshotEnded{{42}, configured(), 3})).has_value());
  EXPECT_FALSE(decode_snapshot_ended(encode(SnapshotEnded{{42}, {}, 3})).has_value());
  EXPECT_FALSE(decode_snapshot_ended(encode(SnapshotEnded{{5}, configured(), 3})).has_value());
  EXPECT_FALSE(decode_snapshot_begun(encode(SnapshotBegun{kCluster, 0})).has_value());
}

// The file's format, too.
TEST(SnapshotMessages, GoldenBytesOfTheFilesEnds) {
  EXPECT_EQ(hex(encode(SnapshotBegun{kCluster, 77})), "1502180b62616e6b2d78376b327039169a0100");
  EXPECT_EQ(hex(encode(SnapshotEnded{{42}, {configured()[0]}, 3})),
            "1654191812160e1c193502040615041504150419050000160600");
}

}  // namespace
}  // namespace troth::coordinator::store
