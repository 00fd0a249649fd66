// What a stranger can send to a server's port: the stream is cut into frames, each header is read, and the
// rest is read as the arguments of every method. Whatever comes, nothing is read out of bounds, nothing
// endless is allocated, and how the stream was cut makes no difference.
#include <algorithm>
#include <string>
#include <vector>

#include <thrift/protocol/TProtocol.h>

#include "base/check.h"
#include "tests/unit/thrift/gen/Bank.h"
#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/runtime/codec.h"

namespace {

using namespace troth::rpc;

constexpr FrameLimits kFrameLimits{.max_frame_bytes = 4096, .max_skipped_bytes = 16384};
constexpr MessageLimits kMessageLimits{.max_elements = 1000, .max_depth = 32};

template <typename Struct>
void read_as(MessageReader& reader, Bytes content) {
  try {
    auto& in = *reader.begin(content);
    std::string method;
    apache::thrift::protocol::TMessageType type{};
    std::int32_t seqid = 0;
    in.readMessageBegin(method, type, seqid);
    Struct arguments;
    arguments.read(&in);
  } catch (const apache::thrift::TException&) {
    // The refusal that the server sends.
  }
}

void read_message(Bytes content) {
  const auto header = read_message_header(content);
  if (!header) return;
  CHECK(header->bytes <= content.size() && !header->method.empty() &&
        header->method.size() <= kMaxMethodLength);
  MessageReader reader(header->encoding, kMessageLimits);
  read_as<test::Bank_echo_args>(reader, content);
  read_as<test::Bank_fail_args>(reader, content);
}

// The events of the stream, cut into pieces of `piece` bytes, as one text.
std::string decode(Bytes stream, std::size_t piece, bool read) {
  FrameDecoder decoder(kFrameLimits);
  std::string events;
  while (!stream.empty()) {
    Bytes input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    while (true) {
      const FrameEvent event = decoder.next(input);
      if (std::holds_alternative<NeedMore>(event)) break;
      if (std::holds_alternative<BrokenStream>(event)) return events + "broken";
      if (const auto* frame = std::get_if<Frame>(&event)) {
        events += "frame " + std::string(frame->content.begin(), frame->content.end());
        if (read) read_message(frame->content);
      }
      if (const auto* skipped = std::get_if<SkippedFrame>(&event)) {
        CHECK(skipped->over_limit && skipped->length > kFrameLimits.max_frame_bytes);
        events += "skipped " + std::to_string(skipped->length);
        if (read) read_message(skipped->head);
      }
    }
    CHECK(input.empty());
    CHECK(decoder.held_bytes() <= kFrameLimits.max_frame_bytes);
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes stream = Bytes(data, size).subspan(1);
  const std::size_t piece = 1 + data[0];
  CHECK(decode(stream, piece, true) == decode(stream, stream.size() + 1, false));
  read_message(stream);
  return 0;
}
