// thrift/message.h
//
// Reads the header of a Thrift message without Thrift: which encoding, what kind, which method, which seqid.
// A server must know these before it decides whether the rest is worth reading.
//
// The first byte tells the encoding apart:
//   0x82         compact: version and type byte, seqid varint, name
//   0x80         binary, strict: version and type in four bytes, name, seqid
//   0x00..0x7f   binary, as old clients write it: name, type byte, seqid; a name is short, so this is 0x00
// Source: TBinaryProtocol and TCompactProtocol of Thrift 0.17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "thrift/frame.h"

namespace troth::rpc {

enum class Encoding : std::uint8_t { kBinary, kCompact };

enum class MessageKind : std::uint8_t { kCall = 1, kReply = 2, kException = 3, kOneway = 4 };

// Method names are 1..kMaxMethodLength visible ASCII characters.
inline constexpr std::size_t kMaxMethodLength = 128;

struct MessageHeader {
  Encoding encoding = Encoding::kBinary;
  MessageKind kind = MessageKind::kCall;
  std::string_view method;  // points into the frame
  std::int32_t seqid = 0;
  std::size_t bytes = 0;  // length of the header: the message's struct begins here
};

// Refuses what is no Thrift message in either encoding (invalid_argument, effect none). `content` may be cut
// off anywhere behind the header.
[[nodiscard]] Result<MessageHeader> read_message_header(Bytes content);

}  // namespace troth::rpc
