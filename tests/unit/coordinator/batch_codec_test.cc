#include "coordinator/decision_store/runtime/batch_codec.h"

#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/request_size.h"

namespace troth::coordinator::store {
namespace {

const TransactionId kId{{"bank-x7k2p9"}, {3}, {1042}, std::nullopt};

WallTime at(std::int64_t us) {
  return WallTime{Duration{us}};
}

// One request of every kind, and of every record that can be chosen.
Batch whole_batch() {
  RequestKey key{"teller", {}};
  key.id.bytes.fill(0x17);
  Digest digest;
  digest.bytes.fill(0xa5);
  return {.origin = {{2}, {0xfedcba9876543210}},
          .requests = {
              {{1}, AcquireEpoch{{0xffffffffffffffff}, at(5), {}}},
              {{2}, AcquireEpoch{{7}, at(6), {4}}},
              {{3}, Choose{{3}, CommitRecord{kId, {{{1}, {1}}, {{2}, {7}}}, key, digest, at(2), "transfer"}}},
              {{4}, Choose{{3}, PreCommitRecord{kId, {{{1}, {1}}}, at(3)}}},
              {{5}, Choose{{3}, AbortRecord{kId, at(4), "no"}}},
              {{6}, Choose{{3}, BarredRecord{key, at(5)}}},
              {{7}, End{{3}, {{kId, at(6), false}, {kId, at(7), true}}}},
              {{8}, End{{3}, {}}},
              {{9}, RegisterResource{{3}, {{"pg"}, {}, "postgres", "1", {"ag"}, {2}, "127.0.0.1:1"}}},
              {{12}, RegisterResource{{3}, {{"my"}, {7}, "mysql", "1", {"ag"}, {2}, "127.0.0.1:1"}}},
              {{10}, RaiseFloors{{3}, {{{2}, {99}}, 1234}}},
              {{11}, Resolve{{3}, {kId, {1}, {"pg"}, true, "lost", "dba", at(8)}}},
          }};
}

TEST(BatchCodec, WhatIsWrittenIsRead) {
  const auto bytes = encode_batch(whole_batch());
  const auto read = decode_batch(bytes);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->origin, whole_batch().origin);
  ASSERT_EQ(read->requests.size(), whole_batch().requests.size());
  // Requests have no equality of their own; their bytes say everything of them.
  EXPECT_EQ(encode_batch(*read), bytes);
  const auto& commit = std::get<CommitRecord>(std::get<Choose>(read->requests[2].request).record);
  EXPECT_EQ(commit, std::get<CommitRecord>(std::get<Choose>(whole_batch().requests[2].request).record));
}

// What is told of a request's size before it is written holds, or what fits by it would not fit the log.
TEST(BatchCodec, NoRequestIsLargerThanItsSizeSays) {
  const auto batch = whole_batch();
  std::size_t most = kBytesAroundRequests;
  for (const auto& asked : batch.requests) {
    most += most_bytes(asked.request);
    const auto alone = encode_batch({.origin = batch.origin, .requests = {asked}});
    EXPECT_LE(alone.size(), most_bytes(asked.request) + kBytesAroundRequests / 2) << asked.ticket.value;
    const consensus::Accepted accepted{
        .slot = {1ULL << 60},
        .ballot = {1ULL << 60, {0x7fffffff}},
        .entry = consensus::Command{std::make_shared<const std::string>(alone)}};
    EXPECT_LE(consensus::encode_record(accepted).size(), most_bytes(asked.request) + kBytesAroundRequests);
  }
  EXPECT_LE(encode_batch(batch).size(), most);
}

// The largest numbers, and more of everything that can be many or long.
TEST(BatchCodec, NorIsOneOfTheLargestNumbers) {
  constexpr std::uint32_t kMost = 0x7fffffff;
  TransactionId id{{std::string(40, 'c')}, {kMost}, {0x7fffffffffffffff}, ResourceNumber{kMaxResourceNumber}};
  const std::string text(1000, 't');
  RequestKey key{text, {}};
  key.id.bytes.fill(0xff);
  std::vector<RecordBranch> branches(500, {{kMost}, {kMost}});
  const auto late = at(0x3fffffffffffffff);
  std::vector<EndedRecord> ended(500, {id, late, true});
  for (const Request& request : std::vector<Request>{
           AcquireEpoch{{~std::uint64_t{0}}, late, {kMost}},
           Choose{{kMost}, CommitRecord{id, branches, key, {}, late, text}},
           Choose{{kMost}, PreCommitRecord{id, branches, late}}, Choose{{kMost}, AbortRecord{id, late, text}},
           Choose{{kMost}, BarredRecord{key, late}}, End{{kMost}, ended},
           RegisterResource{{kMost}, {{text}, {}, text, text, {text}, {~std::uint64_t{0} >> 1}, text}},
           RaiseFloors{{kMost}, {{{kMost}, {~std::uint64_t{0} >> 1}}, ~std::uint64_t{0} >> 1}},
           Resolve{{kMost}, {id, {kMost}, {text}, true, text, text, late}}}) {
    const auto bytes = encode_batch(
        {.origin = {{kMost}, {~std::uint64_t{0}}}, .requests = {{{~std::uint64_t{0}}, request}}});
    EXPECT_LE(bytes.size(), most_bytes(request) + kBytesAroundRequests / 2) << request.index();
    EXPECT_GE(4 * bytes.size() + 1000, most_bytes(request)) << "a bound that refuses what would fit";
  }
}

TEST(BatchCodec, EmptyBatchIsOne) {
  const auto read = decode_batch(encode_batch({.origin = {{1}, {1}}, .requests = {}}));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(read->requests.empty());
}

// A replica that skipped something would come to another state than the others.
TEST(BatchCodec, DamagedBytesAreRefusedOrReadDifferentlyButNeverCrash) {
  const auto bytes = encode_batch(whole_batch());
  for (std::size_t end = 0; end < bytes.size(); ++end)
    EXPECT_FALSE(decode_batch(std::string_view(bytes).substr(0, end)).has_value()) << end;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto read = decode_batch(damaged);
      EXPECT_TRUE(read.has_value() || read.error().code == ErrorCode::kCorrupt);
    }
  }
  EXPECT_FALSE(decode_batch(bytes + '\0').has_value());
}

// What version 0.1 writes: a change here is a change of the format.
TEST(BatchCodec, GoldenBytes) {
  const Batch batch{
      .origin = {{2}, {9}},
      .requests = {{{1}, AcquireEpoch{{7}, at(6), {4}}}, {{2}, Choose{{3}, AbortRecord{kId, at(4), "no"}}}}};
  std::string hex;
  for (const char byte : encode_batch(batch))
    hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  EXPECT_EQ(hex,
            "15041612192c16021502460e160c150800160415041506150819181b181262616e6b2d78376b3270392e332e31303432"
            "160818026e6f0000"
            "00");
}

}  // namespace
}  // namespace troth::coordinator::store
