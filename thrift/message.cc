#include "thrift/message.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace troth::rpc {
namespace {

constexpr std::uint8_t kCompactMarker = 0x82;
constexpr std::uint8_t kCompactVersion = 1;
constexpr std::uint8_t kStrictMarker = 0x80;
constexpr std::uint32_t kStrictVersion = 0x80010000;

// Takes fields off the front of the bytes; nothing is read past their end.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : rest_(bytes), whole_(bytes.size()) {}

  [[nodiscard]] std::size_t taken() const { return whole_ - rest_.size(); }

  std::optional<std::uint8_t> byte() {
    if (rest_.empty()) return std::nullopt;
    const auto value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }

  std::optional<std::uint32_t> big_endian() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    for (const auto byte : rest_.first(4))
      value = value << 8 | byte;
    rest_ = rest_.subspan(4);
    return value;
  }

  // At most five bytes; a varint of 32 bits needs no more.
  std::optional<std::uint32_t> varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const auto next = byte();
      if (!next) return std::nullopt;
      value |= static_cast<std::uint64_t>(*next & 0x7f) << shift;
      if ((*next & 0x80) == 0) return static_cast<std::uint32_t>(value);
    }
    return std::nullopt;
  }

  std::optional<std::string_view> method(std::uint32_t length) {
    if (length == 0 || length > kMaxMethodLength || length > rest_.size()) return std::nullopt;
    const auto name = rest_.first(length);
    if (!std::ranges::all_of(name, [](std::uint8_t c) { return c > 0x20 && c < 0x7f; })) return std::nullopt;
    rest_ = rest_.subspan(length);
    return std::string_view(reinterpret_cast<const char*>(name.data()), name.size());
  }

 private:
  Bytes rest_;
  std::size_t whole_;
};

std::optional<MessageKind> kind_of(std::uint32_t value) {
  switch (value) {
    case 1: return MessageKind::kCall;
    case 2: return MessageKind::kReply;
    case 3: return MessageKind::kException;
    case 4: return MessageKind::kOneway;
    default: return std::nullopt;
  }
}

std::optional<MessageHeader> read_compact(Cursor cursor) {
  cursor.byte();
  const auto version_and_kind = cursor.byte();
  if (!version_and_kind || (*version_and_kind & 0x1f) != kCompactVersion) return std::nullopt;
  const auto kind = kind_of(*version_and_kind >> 5);
  const auto seqid = cursor.varint();
  const auto length = cursor.varint();
  if (!kind || !seqid || !length) return std::nullopt;
  const auto method = cursor.method(*length);
  if (!method) return std::nullopt;
  return MessageHeader{Encoding::kCompact, *kind, *method, static_cast<std::int32_t>(*seqid), cursor.taken()};
}

std::optional<MessageHeader> read_strict(Cursor cursor) {
  const auto version_and_kind = cursor.big_endian();
  if (!version_and_kind || (*version_and_kind & 0xffff0000) != kStrictVersion) return std::nullopt;
  const auto kind = kind_of(*version_and_kind & 0xff);
  const auto length = cursor.big_endian();
  if (!kind || !length) return std::nullopt;
  const auto method = cursor.method(*length);
  const auto seqid = cursor.big_endian();
  if (!method || !seqid) return std::nullopt;
  return MessageHeader{Encoding::kBinary, *kind, *method, static_cast<std::int32_t>(*seqid), cursor.taken()};
}

std::optional<MessageHeader> read_unversioned(Cursor cursor) {
  const auto length = cursor.big_endian();
  if (!length) return std::nullopt;
  const auto method = cursor.method(*length);
  const auto kind_byte = cursor.byte();
  const auto seqid = cursor.big_endian();
  if (!method || !kind_byte || !seqid) return std::nullopt;
  const auto kind = kind_of(*kind_byte);
  if (!kind) return std::nullopt;
  return MessageHeader{Encoding::kBinary, *kind, *method, static_cast<std::int32_t>(*seqid), cursor.taken()};
}

std::optional<MessageHeader> read_any(Bytes content) {
  if (content.empty()) return std::nullopt;
  if (content.front() == kCompactMarker) return read_compact(Cursor(content));
  if (content.front() == kStrictMarker) return read_strict(Cursor(content));
  return read_unversioned(Cursor(content));
}

}  // namespace

Result<MessageHeader> read_message_header(Bytes content) {
  const auto header = read_any(content);
  if (header) return *header;
  std::string first;
  for (const auto byte : content.first(std::min<std::size_t>(content.size(), 8)))
    first += fmt::format(" {:02x}", byte);
  return fail(
      ErrorCode::kInvalidArgument, Effect::kNone,
      fmt::format("a frame of {} bytes beginning with{} is no Thrift message: expected the binary or the "
                  "compact protocol with a method name of 1 to {} visible characters",
                  content.size(), first.empty() ? " nothing" : first, kMaxMethodLength));
}

}  // namespace troth::rpc
