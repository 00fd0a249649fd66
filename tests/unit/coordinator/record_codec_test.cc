#include "coordinator/decision_store/runtime/record_codec.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace troth::coordinator::store {
namespace {

const TransactionId kId{{"bank-x7k2p9"}, {3}, {1042}, std::nullopt};

RequestKey request() {
  RequestKey key{"teller", {}};
  for (std::size_t i = 0; i < key.id.bytes.size(); ++i)
    key.id.bytes[i] = static_cast<std::uint8_t>(0x10 + i);
  return key;
}

Digest digest() {
  Digest digest;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i)
    digest.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  return digest;
}

WallTime at(std::int64_t us) {
  return WallTime{Duration{us}};
}

std::string hex(txlog::Bytes bytes) {
  std::string text;
  for (const auto byte : bytes)
    text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

std::vector<std::byte> unhex(const std::string& text) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

// What version 0.1 wrote. These bytes stand in logs out there: a change here is a change of the format, and a
// reader must go on reading the old ones. Add, never edit.
std::vector<std::pair<LogRecord, std::string>> golden() {
  return {
      {EpochRecord{{{3}, {0x1122334455667788}}, at(1'000'000), {}}, "15061690deb3d68ad199a2221680897a00"},
      {EpochRecord{{{3}, {0x1122334455667788}}, at(1'000'000), {2}},
       "15061690deb3d68ad199a2221680897a150400"},
      {CommitRecord{kId, {{{1}, {1}}, {{2}, {7}}}, request(), digest(), at(2'000'000), "transfer"},
       "181262616e6b2d78376b3270392e332e31303432192c15021502001504150e00180674656c6c6572181010111213141516171"
       "8191a1b1c1d1e1f1820a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf168092f40118087472"
       "616e7366657200"},
      {CommitRecord{kId, {{{1}, {999}}}, std::nullopt, {}, at(2'000'000), ""},
       "181262616e6b2d78376b3270392e332e31303432191c150215ce0f00468092f401180000"},
      {PreCommitRecord{kId, {{{1}, {1}}}, at(2'000'000)},
       "181262616e6b2d78376b3270392e332e31303432191c1502150200168092f40100"},
      {AbortRecord{kId, at(2'000'000), "a branch was lost"},
       "181262616e6b2d78376b3270392e332e31303432168092f401181161206272616e636820776173206c6f737400"},
      {BarredRecord{request(), at(3'000'000)},
       "180674656c6c65721810101112131415161718191a1b1c1d1e1f16809bee0200"},
      {ResourceRecord{{"accounts"}, {7}, "postgres", "7293/bank", {"agent-a"}, {4}, "127.0.0.1:7001"},
       "18086163636f756e7473150e1808706f7374677265731809373239332f62616e6b18076167656e742d611608180e3132372e3"
       "02e302e313a3730303100"},
      {Floors{{{2}, {900}}, 1'700'000'000'000}, "150416880e1680a0abfef96200"},
      {EndedRecord{kId, at(4'000'000), true}, "181262616e6b2d78376b3270392e332e313034321680a4e8031100"},
      {ResolutionRecord{kId, {2}, {"ledger"}, true, "disk lost", "ann", at(5'000'000)},
       "181262616e6b2d78376b3270392e332e31303432150418066c65646765721118096469736b206c6f73741803616e6e1680ade"
       "20400"},
  };
}

TEST(RecordCodec, WritesAndReadsTheGoldenBytesOfVersion0_1) {
  RecordEncoder encoder;
  for (const auto& [record, bytes] : golden()) {
    EXPECT_EQ(hex(encoder.encode(record)), bytes) << "type " << type_of(record).number;
    const auto stored = unhex(bytes);
    const auto decoded = decode(type_of(record), stored);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, record);
  }
}

TEST(RecordCodec, EveryTypeIsMandatoryAndHasItsOwnNumber) {
  std::set<std::uint32_t> numbers;
  for (const auto& [record, bytes] : golden()) {
    EXPECT_FALSE(type_of(record).optional);
    numbers.insert(type_of(record).number);
  }
  EXPECT_EQ(numbers.size(), std::variant_size_v<LogRecord>);
}

TEST(RecordCodec, AnUnknownTypeIsRefused) {
  const auto decoded = decode({77, false}, {});
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
}

TEST(RecordCodec, ACutRecordIsRefusedAtEveryLength) {
  for (const auto& [record, bytes] : golden()) {
    const auto whole = unhex(bytes);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto decoded = decode(type_of(record), txlog::Bytes(whole).first(length));
      ASSERT_FALSE(decoded) << "type " << type_of(record).number << ", " << length << " bytes";
      EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
    }
  }
}

TEST(RecordCodec, BytesBehindTheEndAreRefused) {
  for (const auto& [record, bytes] : golden()) {
    auto longer = unhex(bytes);
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode(type_of(record), longer));
  }
}

TEST(RecordCodec, ARecordReadAsAnotherTypeIsRefusedOrDiffers) {
  for (const auto& [record, bytes] : golden()) {
    const auto stored = unhex(bytes);
    for (std::uint32_t number = 1; number <= std::variant_size_v<LogRecord>; ++number) {
      if (number == type_of(record).number) continue;
      const auto decoded = decode({number, false}, stored);
      EXPECT_FALSE(decoded && *decoded == record) << number;
    }
  }
}

RC_GTEST_PROP(RecordCodec, ArbitraryBytesNeverEndTheProcess, (const std::vector<std::uint8_t>& bytes)) {
  for (std::uint32_t number = 0; number <= 10; ++number) {
    const auto decoded = decode({number, false}, std::as_bytes(std::span(bytes)));
    if (!decoded) RC_ASSERT(decoded.error().code == ErrorCode::kCorrupt);
  }
}

RC_GTEST_PROP(RecordCodec, ADamagedByteIsReadAsSomethingOrRefused,
              (std::uint16_t where, std::uint8_t value)) {
  for (const auto& [record, bytes] : golden()) {
    auto damaged = unhex(bytes);
    damaged[where % damaged.size()] = static_cast<std::byte>(value);
    const auto decoded = decode(type_of(record), damaged);
    if (!decoded) RC_ASSERT(decoded.error().code == ErrorCode::kCorrupt);
  }
}

RC_GTEST_PROP(RecordCodec, AnyCommitComesBackAsItWasWritten,
              (std::uint32_t epoch, std::uint64_t sequence, const std::string& client,
               const std::string& label, std::int64_t decided, std::vector<std::uint16_t> resources,
               bool with_request)) {
  CommitRecord commit{{{"bank-x7k2p9"}, {std::max(epoch, 1U)}, {1 + sequence % kMaxSequence}, std::nullopt},
                      {},
                      std::nullopt,
                      {},
                      at(decided),
                      label};
  for (const auto resource : resources)
    commit.branches.push_back(
        {{static_cast<std::uint32_t>(commit.branches.size() + 1)}, {1U + resource % kMaxResourceNumber}});
  if (with_request) {
    commit.request = RequestKey{client, request().id};
    commit.digest = digest();
  }
  RecordEncoder encoder;
  const auto bytes = encoder.encode(commit);
  const auto decoded = decode(type_of(commit), bytes);
  RC_ASSERT(decoded.has_value());
  const bool same = *decoded == LogRecord{commit};
  RC_ASSERT(same);
}

}  // namespace
}  // namespace troth::coordinator::store
