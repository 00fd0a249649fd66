// thrift/runtime/codec.h
//
// Thrift's protocols over frames in memory: one reader for what came, one writer for what goes out.
//
// Thrift 0.17 by itself does not protect its reader: a list of structs may claim any number of elements (it
// counts a struct as zero bytes), the check's product overflows, and the compact protocol allocates a string
// before it looks how much is there. The reader here sets Thrift's own limits anew before every string and
// container:
//
//   a string      is never longer than the bytes that are left of the frame
//   a container   never has more elements than bytes are left, nor than what is left of the message's budget
//   nesting       is limited by Thrift's recursion limit
//
// so that a message allocates at most (its length + max_elements * the largest generated struct).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "thrift/frame.h"
#include "thrift/message.h"

namespace apache::thrift::protocol {
class TProtocol;
}

namespace troth::rpc {

using ThriftProtocol = apache::thrift::protocol::TProtocol;

struct MessageLimits {
  std::uint32_t max_elements = 1U << 18;  // of all containers of one message together
  std::uint32_t max_depth = 64;           // of structs and containers inside each other
};

// Reads messages of one encoding, one after the other.
class MessageReader {
 public:
  MessageReader(Encoding encoding, MessageLimits limits);
  ~MessageReader();
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  // Begins with a new frame; whatever was left of the last one is forgotten. The protocol is valid until the
  // next call; reading beyond a limit or the frame's end throws Thrift's exceptions.
  [[nodiscard]] const std::shared_ptr<ThriftProtocol>& begin(Bytes content);

  // Names the limit that stopped the reading since begin(), or is empty.
  [[nodiscard]] const std::string& refusal() const;

 private:
  class Source;
  struct State;
  void make_protocol();

  Encoding encoding_;
  MessageLimits limits_;
  std::shared_ptr<State> state_;
  std::shared_ptr<Source> source_;
  std::shared_ptr<ThriftProtocol> protocol_;
};

// Writes one message as a whole frame, its length included. Reusable.
class MessageWriter {
 public:
  explicit MessageWriter(Encoding encoding);
  ~MessageWriter();
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;

  [[nodiscard]] Encoding encoding() const { return encoding_; }
  [[nodiscard]] const std::shared_ptr<ThriftProtocol>& protocol() const { return protocol_; }

  // Forgets what was written, half-written structs included.
  void reset();
  // The frame, complete with its length; valid until the next write or reset. At most 2 GiB are written.
  [[nodiscard]] Bytes frame();

 private:
  class Sink;
  Encoding encoding_;
  std::shared_ptr<Sink> sink_;
  std::shared_ptr<ThriftProtocol> protocol_;
};

// A reply that says why there is no result; every Thrift client raises it as TApplicationException.
// `type` is a TApplicationException::TApplicationExceptionType.
void write_application_exception(MessageWriter& writer, std::string_view method, std::int32_t seqid, int type,
                                 const std::string& message);

}  // namespace troth::rpc
