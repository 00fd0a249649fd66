#include "txlog/format.h"

#include <array>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/unit/txlog/log_image.h"
#include "txlog/crc32c.h"

namespace troth::txlog {
namespace {

SegmentHeader a_header() {
  return {.number = {7},
          .salt = {42},
          .predecessor = {5},
          .predecessor_salt = {43},
          .file_bytes = 16 * kBlockBytes,
          .restates = BatchNumber{99},
          .identity = {{"bank-x7k2p9"}, "agent/accounts"}};
}

BatchFrame a_frame() {
  return {.salt = {42},
          .number = {3},
          .first_sequence = {10},
          .oldest_segment = {2},
          .unsettled_cut = {8},
          .bytes = 2 * kBlockBytes,
          .records = 4,
          .body_crc = 0xdeadbeef};
}

template <std::size_t size>
void flip(std::array<std::byte, size>& bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
}

TEST(SegmentHeader, ComesBackAsItWas) {
  std::array<std::byte, kBlockBytes> block;
  auto header = a_header();
  encode(header, block);
  EXPECT_EQ(decode_segment_header(block), header);
  header.restates.reset();
  header.identity = {{std::string(kMaxClusterLength, 'z')}, std::string(kMaxOwnerLength, 'o')};
  encode(header, block);
  EXPECT_EQ(decode_segment_header(block), header);
}

TEST(SegmentHeader, EveryFlippedBitIsSeen) {
  std::array<std::byte, kBlockBytes> block;
  encode(a_header(), block);
  for (std::size_t bit = 0; bit < kBlockBytes * 8; ++bit) {
    flip(block, bit);
    const auto decoded = decode_segment_header(block);
    ASSERT_FALSE(decoded) << bit;
    ASSERT_FALSE(decoded.error().newer_format) << "damage must not be taken for a newer format, bit " << bit;
    flip(block, bit);
  }
}

TEST(SegmentHeader, EveryShorterBlockIsRefused) {
  std::array<std::byte, kBlockBytes> block;
  encode(a_header(), block);
  for (std::size_t length = 0; length < kBlockBytes; ++length)
    ASSERT_FALSE(decode_segment_header(Bytes(block).first(length))) << length;
}

TEST(SegmentHeader, AFormatForNewerReadersIsNamedAsSuch) {
  std::array<std::byte, kBlockBytes> block;
  auto header = a_header();
  header.format_version = 3;
  header.least_reader_version = 2;
  encode(header, block);
  const auto decoded = decode_segment_header(block);
  ASSERT_FALSE(decoded);
  EXPECT_TRUE(decoded.error().newer_format);
  EXPECT_NE(decoded.error().what.find("format version 3"), std::string::npos) << decoded.error().what;
}

TEST(SegmentHeader, ANewerFormatThatThisReaderUnderstandsIsTaken) {
  std::array<std::byte, kBlockBytes> block;
  auto header = a_header();
  header.format_version = 2;
  encode(header, block);
  EXPECT_EQ(decode_segment_header(block), header);
}

TEST(BatchFrame, ComesBackAsItWas) {
  std::array<std::byte, kFrameBytes> bytes;
  encode(a_frame(), bytes);
  EXPECT_EQ(decode_frame(bytes, {42}), a_frame());
  EXPECT_EQ(a_frame().next_sequence(), RecordSequence{14});
}

TEST(BatchFrame, OfAnotherSegmentNeverParses) {
  std::array<std::byte, kFrameBytes> bytes;
  encode(a_frame(), bytes);
  EXPECT_FALSE(decode_frame(bytes, {41}));
}

TEST(BatchFrame, EveryFlippedBitAndEveryShorterFrameIsSeen) {
  std::array<std::byte, kFrameBytes> bytes;
  encode(a_frame(), bytes);
  for (std::size_t bit = 0; bit < kFrameBytes * 8; ++bit) {
    flip(bytes, bit);
    ASSERT_FALSE(decode_frame(bytes, {42})) << bit;
    flip(bytes, bit);
  }
  for (std::size_t length = 0; length < kFrameBytes; ++length)
    ASSERT_FALSE(decode_frame(Bytes(bytes).first(length), {42})) << length;
}

// A length is believed only inside the limits, so that nothing is allocated or skipped on a forged one's
// word.
TEST(BatchFrame, LengthsBeyondTheLimitsAreRefused) {
  std::array<std::byte, kFrameBytes> bytes;
  for (const std::uint32_t length :
       {0U, 1U, std::uint32_t{kBlockBytes} + 8, std::uint32_t{kMaxBatchBytes} + std::uint32_t{kBlockBytes}}) {
    auto frame = a_frame();
    frame.bytes = length;
    encode(frame, bytes);
    EXPECT_FALSE(decode_frame(bytes, {42})) << length;
  }
  auto frame = a_frame();
  frame.records = 2 * kBlockBytes / kRecordHeaderBytes + 1;
  encode(frame, bytes);
  EXPECT_FALSE(decode_frame(bytes, {42}));
}

TEST(RecordHeader, ComesBackAsItWas) {
  std::array<std::byte, kRecordHeaderBytes> bytes;
  for (const bool optional : {false, true}) {
    const RecordHeader header{100, {kMaxRecordType, optional}, {12}, 77};
    encode(header, bytes);
    EXPECT_EQ(decode_record_header(bytes), header);
  }
}

TEST(RecordHeader, EveryFlippedBitAndEveryShorterHeaderIsSeen) {
  std::array<std::byte, kRecordHeaderBytes> bytes;
  encode(RecordHeader{100, {5, true}, {12}, 77}, bytes);
  for (std::size_t bit = 0; bit < kRecordHeaderBytes * 8; ++bit) {
    flip(bytes, bit);
    ASSERT_FALSE(decode_record_header(bytes)) << bit;
    flip(bytes, bit);
  }
  for (std::size_t length = 0; length < kRecordHeaderBytes; ++length)
    ASSERT_FALSE(decode_record_header(Bytes(bytes).first(length))) << length;
}

// Reads "00001000  54 58 4c ..." lines; what no line names is zero.
std::vector<std::byte> read_hex(const std::string& path, std::size_t size) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<std::byte> bytes(size);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word.size() != 8 ||
        word.find_first_not_of("0123456789abcdef") != std::string::npos)
      continue;
    auto at = std::stoul(word, nullptr, 16);
    while (words >> word && word.size() == 2 &&
           word.find_first_not_of("0123456789abcdef") == std::string::npos) {
      EXPECT_LT(at, size);
      if (at < size) bytes[at++] = static_cast<std::byte>(std::stoul(word, nullptr, 16));
    }
  }
  return bytes;
}

// The log that FORMAT.md works through.
ImageSegment worked_example() {
  LogImage image(4 * kBlockBytes);
  image.add({"debit 7", "credit 12"});
  return image.segments.front();
}

TEST(Format, TheWorkedExampleOfItsPageIsTrue) {
  const auto example = worked_example();
  EXPECT_EQ(read_hex("txlog/FORMAT.md", example.bytes.size()), example.bytes);
}

// The bytes of each released version stay here for ever, and stay readable.
TEST(Format, Version1IsStillReadAsItWasWritten) {
  ImageSegment segment;
  segment.bytes = read_hex("tests/unit/txlog/golden/format-1.hex", 4 * kBlockBytes);
  const auto header = decode_segment_header(segment.bytes);
  ASSERT_TRUE(header) << header.error().what;
  EXPECT_EQ(header->format_version, 1);
  segment.header = *header;
  const auto result = scan({segment});
  EXPECT_EQ(result.verdict, Verdict{CleanEnd{}});
  EXPECT_EQ(result.payloads, (std::vector<std::string>{"debit 7", "credit 12"}));
  EXPECT_EQ(segment.bytes, worked_example().bytes) << "this version writes other bytes: raise kFormatVersion";
}

}  // namespace
}  // namespace troth::txlog
