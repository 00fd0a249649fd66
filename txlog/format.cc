#include "txlog/format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/check.h"
#include "txlog/crc32c.h"

namespace troth::txlog {
namespace {

static_assert(std::endian::native == std::endian::little, "the integers below are copied as they lie");

constexpr std::string_view kSegmentMagic = "TROTHLOG";
constexpr std::uint32_t kFrameMagic = 0x464C5854;  // "TXLF"
constexpr std::uint32_t kOptionalBit = 0x80000000;
constexpr std::uint32_t kRestatesFlag = 1;

// The segment header's fields, by offset. Those up to kLeastReader never move: every later reader checks
// them.
constexpr std::size_t kCrc = 8;
constexpr std::size_t kVersion = 12;
constexpr std::size_t kLeastReader = 14;
constexpr std::size_t kNumber = 16;
constexpr std::size_t kSalt = 24;
constexpr std::size_t kPredecessor = 32;
constexpr std::size_t kPredecessorSalt = 40;
constexpr std::size_t kFileBytes = 48;
constexpr std::size_t kFlags = 56;
constexpr std::size_t kRestates = 64;
constexpr std::size_t kCluster = 72;
constexpr std::size_t kOwner = 104;
constexpr std::size_t kUnused = 168;

static_assert(kCluster + 1 + kMaxClusterLength <= kOwner);
static_assert(kOwner + 1 + kMaxOwnerLength <= kUnused);

template <typename T>
void put(std::span<std::byte> to, std::size_t at, T value) {
  std::memcpy(to.subspan(at, sizeof(T)).data(), &value, sizeof(T));
}

template <typename T>
T get(Bytes from, std::size_t at) {
  T value;
  std::memcpy(&value, from.subspan(at, sizeof(T)).data(), sizeof(T));
  return value;
}

void put_name(std::span<std::byte> to, std::size_t at, std::string_view name) {
  to[at] = static_cast<std::byte>(name.size());
  std::memcpy(to.subspan(at + 1, name.size()).data(), name.data(), name.size());
}

std::optional<std::string> get_name(Bytes from, std::size_t at, std::size_t limit) {
  const auto length = std::to_integer<std::size_t>(from[at]);
  if (length == 0 || length > limit) return std::nullopt;
  return std::string(text_of(from.subspan(at + 1, length)));
}

HeaderProblem damaged(std::string what) {
  return {false, std::move(what)};
}

}  // namespace

void encode(const SegmentHeader& header, std::span<std::byte> to) {
  const auto& cluster = header.identity.cluster.value;
  const auto& owner = header.identity.owner;
  CHECK(to.size() == kBlockBytes);
  CHECK(!cluster.empty() && cluster.size() <= kMaxClusterLength, "cluster '{}'", cluster);
  CHECK(!owner.empty() && owner.size() <= kMaxOwnerLength, "owner '{}'", owner);
  std::ranges::fill(to, std::byte{0});
  std::memcpy(to.data(), kSegmentMagic.data(), kSegmentMagic.size());
  put(to, kVersion, header.format_version);
  put(to, kLeastReader, header.least_reader_version);
  put(to, kNumber, header.number.value);
  put(to, kSalt, header.salt.value);
  put(to, kPredecessor, header.predecessor.value);
  put(to, kPredecessorSalt, header.predecessor_salt.value);
  put(to, kFileBytes, header.file_bytes);
  if (header.restates) {
    put(to, kFlags, kRestatesFlag);
    put(to, kRestates, header.restates->value);
  }
  put_name(to, kCluster, cluster);
  put_name(to, kOwner, owner);
  put(to, kCrc, crc32c(to.subspan(kVersion)));
}

std::expected<SegmentHeader, HeaderProblem> decode_segment_header(Bytes block) {
  if (block.size() < kBlockBytes) return std::unexpected(damaged("shorter than a segment header"));
  block = block.first(kBlockBytes);
  if (text_of(block.first(kSegmentMagic.size())) != kSegmentMagic)
    return std::unexpected(damaged("does not begin with TROTHLOG"));
  if (get<std::uint32_t>(block, kCrc) != crc32c(block.subspan(kVersion)))
    return std::unexpected(damaged("the header's checksum differs"));
  SegmentHeader header;
  header.format_version = get<std::uint16_t>(block, kVersion);
  header.least_reader_version = get<std::uint16_t>(block, kLeastReader);
  if (header.least_reader_version > kFormatVersion) {
    return std::unexpected(HeaderProblem{
        true,
        fmt::format("written in format version {}, which only readers of version {} and later understand; "
                    "this one reads up to version {}",
                    header.format_version, header.least_reader_version, kFormatVersion)});
  }
  header.number = {get<std::uint64_t>(block, kNumber)};
  header.salt = {get<std::uint64_t>(block, kSalt)};
  header.predecessor = {get<std::uint64_t>(block, kPredecessor)};
  header.predecessor_salt = {get<std::uint64_t>(block, kPredecessorSalt)};
  header.file_bytes = get<std::uint64_t>(block, kFileBytes);
  const auto flags = get<std::uint32_t>(block, kFlags);
  if (flags & ~kRestatesFlag) return std::unexpected(damaged("the header has unknown flags"));
  if (flags & kRestatesFlag) header.restates = BatchNumber{get<std::uint64_t>(block, kRestates)};
  auto cluster = get_name(block, kCluster, kMaxClusterLength);
  auto owner = get_name(block, kOwner, kMaxOwnerLength);
  if (!cluster || !owner) return std::unexpected(damaged("the header has no valid cluster or owner"));
  header.identity = {ClusterId{std::move(*cluster)}, std::move(*owner)};
  const bool numbered = header.number.value > header.predecessor.value && header.salt.value != 0;
  const bool sized = header.file_bytes >= kMinSegmentBytes && header.file_bytes <= kMaxSegmentBytes &&
                     header.file_bytes % kBlockBytes == 0;
  if (!numbered || !sized) return std::unexpected(damaged("the header's number, salt or length is invalid"));
  return header;
}

void encode(const BatchFrame& frame, std::span<std::byte> to) {
  CHECK(to.size() == kFrameBytes);
  put(to, 0, kFrameMagic);
  put(to, 8, frame.salt.value);
  put(to, 16, frame.number.value);
  put(to, 24, frame.first_sequence.value);
  put(to, 32, frame.oldest_segment.value);
  put(to, 40, frame.unsettled_cut.value);
  put(to, 48, frame.bytes);
  put(to, 52, frame.records);
  put(to, 56, frame.body_crc);
  put(to, 60, std::uint32_t{0});
  put(to, 4, crc32c(to.subspan(8)));
}

std::optional<BatchFrame> decode_frame(Bytes bytes, Salt salt) {
  if (bytes.size() < kFrameBytes) return std::nullopt;
  bytes = bytes.first(kFrameBytes);
  const bool ours = get<std::uint32_t>(bytes, 0) == kFrameMagic && get<std::uint64_t>(bytes, 8) == salt.value;
  if (!ours || get<std::uint32_t>(bytes, 4) != crc32c(bytes.subspan(8))) return std::nullopt;
  BatchFrame frame;
  frame.salt = salt;
  frame.number = {get<std::uint64_t>(bytes, 16)};
  frame.first_sequence = {get<std::uint64_t>(bytes, 24)};
  frame.oldest_segment = {get<std::uint64_t>(bytes, 32)};
  frame.unsettled_cut = {get<std::uint64_t>(bytes, 40)};
  frame.bytes = get<std::uint32_t>(bytes, 48);
  frame.records = get<std::uint32_t>(bytes, 52);
  frame.body_crc = get<std::uint32_t>(bytes, 56);
  const bool sized = frame.bytes >= kBlockBytes && frame.bytes <= kMaxBatchBytes &&
                     frame.bytes % kBlockBytes == 0 &&
                     frame.records <= (frame.bytes - kFrameBytes) / kRecordHeaderBytes;
  if (!sized || get<std::uint32_t>(bytes, 60) != 0) return std::nullopt;
  return frame;
}

void encode(const RecordHeader& header, std::span<std::byte> to) {
  CHECK(to.size() == kRecordHeaderBytes);
  CHECK(header.type.number > 0 && header.type.number <= kMaxRecordType, "type {}", header.type.number);
  put(to, 4, header.payload_bytes);
  put(to, 8, header.type.number | (header.type.optional ? kOptionalBit : 0));
  put(to, 12, header.payload_crc);
  put(to, 16, header.sequence.value);
  put(to, 0, crc32c(to.subspan(4)));
}

std::optional<RecordHeader> decode_record_header(Bytes bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  bytes = bytes.first(kRecordHeaderBytes);
  if (get<std::uint32_t>(bytes, 0) != crc32c(bytes.subspan(4))) return std::nullopt;
  RecordHeader header;
  header.payload_bytes = get<std::uint32_t>(bytes, 4);
  const auto type = get<std::uint32_t>(bytes, 8);
  header.type = {type & ~kOptionalBit, (type & kOptionalBit) != 0};
  header.payload_crc = get<std::uint32_t>(bytes, 12);
  header.sequence = {get<std::uint64_t>(bytes, 16)};
  if (header.payload_bytes > kMaxPayloadBytes || header.type.number == 0) return std::nullopt;
  return header;
}

}  // namespace troth::txlog
