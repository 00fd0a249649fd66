// What a small message can make the reader allocate: never more than its own size allows.
#include "thrift/runtime/codec.h"

#include <array>

#include <gtest/gtest.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/TProtocol.h>
#include <thrift/protocol/TProtocolException.h>

#include "tests/unit/thrift/allocation_watch.h"
#include "tests/unit/thrift/gen/bank_types.h"
#include "tests/unit/thrift/raw_client.h"

namespace troth::rpc::test {
namespace {

using apache::thrift::protocol::T_BYTE;
using apache::thrift::protocol::T_I64;
using apache::thrift::protocol::T_LIST;
using apache::thrift::protocol::T_MAP;
using apache::thrift::protocol::T_SET;
using apache::thrift::protocol::T_STRING;
using apache::thrift::protocol::T_STRUCT;
using apache::thrift::protocol::TProtocolException;

constexpr Encoding kEncodings[] = {Encoding::kBinary, Encoding::kCompact};
constexpr std::uint32_t kHuge = 0x7fffffff;

// A struct's bytes, without a message around it.
template <typename Write>
ByteVector struct_bytes(Encoding encoding, Write write) {
  MessageWriter writer(encoding);
  writer.protocol()->writeStructBegin("");
  write(*writer.protocol());
  writer.protocol()->writeFieldStop();
  writer.protocol()->writeStructEnd();
  const Bytes frame = writer.frame();
  return {frame.begin() + kFrameLengthBytes, frame.end()};
}

// Reads `content` as an Item; what() of what stopped it, or empty.
std::string read_item(Encoding encoding, const ByteVector& content, MessageLimits limits = {}) {
  MessageReader reader(encoding, limits);
  Item item;
  forget_allocations();
  try {
    item.read(reader.begin(content).get());
    return {};
  } catch (const std::exception& problem) {
    return reader.refusal().empty() ? problem.what() : reader.refusal();
  }
}

TEST(MessageReader, AHugeContainerClaimIsRefusedBeforeAnythingIsAllocated) {
  for (const auto encoding : kEncodings) {
    for (const std::uint32_t claim : {kHuge, 1U << 29, 1U << 24, 1000U}) {
      const auto list = struct_bytes(encoding, [&](auto& out) {
        out.writeFieldBegin("children", T_LIST, 3);
        out.writeListBegin(T_STRUCT, claim);
      });
      EXPECT_NE(read_item(encoding, list).find("container"), std::string::npos);
      EXPECT_LT(largest_allocation(), 4096U);
      const auto map = struct_bytes(encoding, [&](auto& out) {
        out.writeFieldBegin("amounts", T_MAP, 4);
        out.writeMapBegin(T_STRING, T_I64, claim);
      });
      EXPECT_NE(read_item(encoding, map).find("container"), std::string::npos);
      const auto set = struct_bytes(encoding, [&](auto& out) {
        out.writeFieldBegin("numbers", T_SET, 5);
        out.writeSetBegin(T_I64, claim);
      });
      EXPECT_NE(read_item(encoding, set).find("container"), std::string::npos);
      EXPECT_LT(largest_allocation(), 4096U);
    }
  }
}

TEST(MessageReader, AHugeStringClaimIsRefusedBeforeAnythingIsAllocated) {
  for (const auto encoding : kEncodings) {
    for (const auto field :
         std::to_array<std::int16_t>({2, 8, 99})) {  // a string, a binary, one that is only skipped
      auto bytes = struct_bytes(encoding, [&](auto& out) {
        out.writeFieldBegin("name", T_STRING, field);
        // The length, as each encoding writes it, without the string.
        if (encoding == Encoding::kBinary) {
          out.writeI32(static_cast<std::int32_t>(kHuge));
        } else {
          for (const int byte : {0xff, 0xff, 0xff, 0xff, 0x07})
            out.writeByte(static_cast<std::int8_t>(byte));
        }
      });
      EXPECT_NE(read_item(encoding, bytes).find("string claims more bytes"), std::string::npos);
      EXPECT_LT(largest_allocation(), 4096U);
    }
  }
}

// The wire may say list<byte> where the IDL says list<struct>: Thrift's generated code then reads bytes of
// the sender's choice as structs, with claims of their own.
TEST(MessageReader, AContainerOfAnotherTypeThanDeclaredIsBoundAsWell) {
  for (const auto encoding : kEncodings) {
    const auto inner = struct_bytes(encoding, [&](auto& out) {
      out.writeFieldBegin("children", T_LIST, 3);
      out.writeListBegin(T_STRUCT, kHuge);
    });
    auto bytes = struct_bytes(encoding, [&](auto& out) {
      out.writeFieldBegin("children", T_LIST, 3);
      out.writeListBegin(T_BYTE, 5);
      for (const auto byte : inner)
        out.writeByte(static_cast<std::int8_t>(byte));
    });
    EXPECT_NE(read_item(encoding, bytes), "");
    EXPECT_LT(largest_allocation(), 8192U);
  }
}

TEST(MessageReader, ATypeThatDoesNotExistIsNamed) {
  for (const auto type : std::to_array<std::uint8_t>({1, 5, 7, 9, 16, 200})) {
    EXPECT_NE(read_item(Encoding::kBinary, {type, 0, 3, 0, 0, 0, 0}).find(std::to_string(type)),
              std::string::npos);
    EXPECT_NE(read_item(Encoding::kBinary, {15, 0, 3, type, 0, 0, 0, 0, 0}), "");
    EXPECT_NE(read_item(Encoding::kBinary, {13, 0, 4, 11, type, 0, 0, 0, 0, 0}), "");
  }
}

TEST(MessageReader, AllContainersOfAMessageShareOneBudget) {
  for (const auto encoding : kEncodings) {
    const auto many = [&](int lists) {
      return struct_bytes(encoding, [&](auto& out) {
        for (int i = 0; i < lists; ++i) {
          out.writeFieldBegin("bits", T_LIST, 9);
          out.writeListBegin(apache::thrift::protocol::T_BOOL, 100);
          for (int bit = 0; bit < 100; ++bit)
            out.writeBool(true);
          out.writeListEnd();
          out.writeFieldEnd();
        }
      });
    };
    EXPECT_EQ(read_item(encoding, many(10), {.max_elements = 1000}), "");
    EXPECT_NE(read_item(encoding, many(11), {.max_elements = 1000}).find("more than 1000 elements"),
              std::string::npos);
  }
}

TEST(MessageReader, EmptyStructsCannotMultiplyAMessageBeyondTheBudget) {
  for (const auto encoding : kEncodings) {
    const auto bytes = struct_bytes(encoding, [&](auto& out) {
      out.writeFieldBegin("children", T_LIST, 3);
      out.writeListBegin(T_STRUCT, 1'000'000);
      for (int i = 0; i < 1'000'000; ++i)
        out.writeFieldStop();
    });
    EXPECT_NE(read_item(encoding, bytes).find("max_elements"), std::string::npos);
    EXPECT_LT(largest_allocation(), 4096U);
  }
}

TEST(MessageReader, NestingEndsAtItsLimit) {
  for (const auto encoding : kEncodings) {
    for (const auto field : std::to_array<std::int16_t>({3, 99})) {  // read, and skipped
      const auto nested = [&](int depth) {
        return struct_bytes(encoding, [&](auto& out) {
          for (int i = 0; i < depth; ++i) {
            out.writeFieldBegin("children", T_LIST, field);
            out.writeListBegin(T_STRUCT, 1);
            out.writeStructBegin("");
          }
          for (int i = 0; i < depth; ++i) {
            out.writeFieldStop();
            out.writeStructEnd();
          }
        });
      };
      EXPECT_EQ(read_item(encoding, nested(20)), "");
      EXPECT_NE(read_item(encoding, nested(100)), "");
      EXPECT_NE(read_item(encoding, nested(100'000)), "");
    }
  }
}

TEST(MessageReader, CutOffAnywhereIsAnException) {
  Item item;
  item.name = "name";
  item.children.resize(2);
  item.amounts = {{"a", 1}};
  item.numbers = {1, 2};
  item.blob = "blob";
  item.__set_bits({true, false});
  for (const auto encoding : kEncodings) {
    MessageWriter writer(encoding);
    item.write(writer.protocol().get());
    const Bytes frame = writer.frame().subspan(kFrameLengthBytes);
    EXPECT_EQ(read_item(encoding, {frame.begin(), frame.end()}), "");
    for (std::size_t size = 0; size < frame.size(); ++size)
      EXPECT_NE(read_item(encoding, {frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)}), "")
          << size;
  }
}

TEST(MessageReader, AFailedMessageLeavesNothingBehindForTheNext) {
  Item item;
  item.name = "a name that is longer than the last string of the message before";
  item.children.resize(3);
  for (const auto encoding : kEncodings) {
    MessageReader reader(encoding, {});
    const auto bad = struct_bytes(encoding, [&](auto& out) {
      out.writeFieldBegin("children", T_LIST, 3);
      out.writeListBegin(T_STRUCT, 1);
      out.writeStructBegin("");
      out.writeFieldBegin("name", T_STRING, 2);
      out.writeString("x");
    });
    const auto good =
        call_frame(encoding, "a_rather_long_method_name", 1, [&](auto& out) { item.write(&out); });
    for (int round = 0; round < 3; ++round) {
      Item read;
      EXPECT_ANY_THROW(read.read(reader.begin(Bytes(bad).first(bad.size() - 2)).get()));
      auto& in = *reader.begin(Bytes(good).subspan(kFrameLengthBytes));
      std::string method;
      apache::thrift::protocol::TMessageType type{};
      std::int32_t seqid = 0;
      in.readMessageBegin(method, type, seqid);
      EXPECT_EQ(method, "a_rather_long_method_name");
      Item again;
      again.read(&in);
      EXPECT_EQ(again, item);
    }
  }
}

TEST(MessageWriter, IsUsedAgainAfterAHalfWrittenMessage) {
  for (const auto encoding : kEncodings) {
    MessageWriter writer(encoding);
    writer.protocol()->writeStructBegin("");
    writer.protocol()->writeFieldBegin("name", T_STRING, 2);
    writer.protocol()->writeString(std::string(1U << 20, 'x'));
    EXPECT_GT(writer.frame().size(), 1U << 20);
    writer.reset();
    write_application_exception(writer, "method", 5, 7, "why");
    const auto frame = writer.frame();
    const auto answer = read_answer({frame.begin() + kFrameLengthBytes, frame.end()});
    EXPECT_EQ(answer.method, "method");
    EXPECT_EQ(answer.seqid, 5);
    EXPECT_EQ(answer.exception_type, 7);
    EXPECT_EQ(answer.exception_message, "why");
  }
}

}  // namespace
}  // namespace troth::rpc::test
