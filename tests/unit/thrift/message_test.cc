#include "thrift/message.h"

#include <gtest/gtest.h>

#include "tests/unit/thrift/raw_client.h"

namespace troth::rpc::test {
namespace {

Result<MessageHeader> read(const ByteVector& content) {
  return read_message_header(content);
}

ByteVector content_of(const ByteVector& frame) {
  return {frame.begin() + kFrameLengthBytes, frame.end()};
}

TEST(MessageHeader, IsReadFromWhatThriftWrites) {
  for (const auto encoding : {Encoding::kBinary, Encoding::kCompact}) {
    for (const std::int32_t seqid : {0, 1, 127, 128, INT32_MAX, -1, INT32_MIN}) {
      const auto frame = call_frame(encoding, "prepare", seqid, [](auto& out) { out.writeFieldStop(); });
      const auto content = content_of(frame);
      const auto header = read(content);
      ASSERT_TRUE(header) << header.error().message;
      EXPECT_EQ(header->encoding, encoding);
      EXPECT_EQ(header->kind, MessageKind::kCall);
      EXPECT_EQ(header->method, "prepare");
      EXPECT_EQ(header->seqid, seqid);
      EXPECT_EQ(header->bytes, content.size() - 1);
    }
  }
}

TEST(MessageHeader, IsReadFromOldBinaryClientsToo) {
  const auto content = bytes_of(std::string("\0\0\0\4ping\1\0\0\0\7\0", 14));
  const auto header = read(content);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->encoding, Encoding::kBinary);
  EXPECT_EQ(header->method, "ping");
  EXPECT_EQ(header->seqid, 7);
  EXPECT_EQ(header->bytes, 13U);
}

TEST(MessageHeader, CutOffAnywhereIsRefused) {
  for (const auto encoding : {Encoding::kBinary, Encoding::kCompact}) {
    const auto content =
        content_of(call_frame(encoding, "ping", 300, [](auto& out) { out.writeFieldStop(); }));
    for (std::size_t size = 0; size + 1 < content.size(); ++size)
      EXPECT_FALSE(read({content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
  }
}

TEST(MessageHeader, WhatIsNotThriftIsRefusedByItsFirstBytes) {
  const auto refused = read(bytes_of("GET / HTTP/1.1\r\n"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("47 45 54"), std::string::npos) << refused.error().message;
}

TEST(MessageHeader, RefusesWrongVersionsKindsAndNames) {
  const std::vector<ByteVector> wrong = {
      {},
      {0x82},
      {0x82, 0x22, 0, 1, 'a'},                                   // compact, version 2
      {0x82, 0x01, 0, 1, 'a'},                                   // kind 0
      {0x82, 0xa1, 0, 1, 'a'},                                   // kind 5
      {0x82, 0x21, 0, 0},                                        // no name
      {0x82, 0x21, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 'a'},        // a name of 4 GiB
      {0x82, 0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 'a'},  // an endless varint
      {0x82, 0x21, 0, 1, '\n'},                                  // a name that would break a log line
      {0x80, 2, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0, 0},              // binary, version 2
      {0x80, 1, 0, 9, 0, 0, 0, 1, 'a', 0, 0, 0, 0},              // kind 9
      {0x80, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 'a', 0, 0, 0, 0},  // a name of -1 bytes
      {0, 0, 0, 1, 'a', 7, 0, 0, 0, 0},                          // old binary, kind 7
      {0x7f, 0xff, 0xff, 0xff, 'a'},                             // old binary, a name of 2 GiB
      {0x81, 0, 0, 0},
  };
  for (const auto& content : wrong)
    EXPECT_FALSE(read(content)) << testing::PrintToString(content);
}

}  // namespace
}  // namespace troth::rpc::test
