// A client that sends any bytes at all, for what a well-behaved one never does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <thrift/protocol/TProtocol.h>

#include "thrift/address.h"
#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/codec.h"

namespace troth::rpc::test {

using ByteVector = std::vector<std::uint8_t>;

[[nodiscard]] ByteVector bytes_of(std::string_view text);
[[nodiscard]] ByteVector framed(const ByteVector& content);

class RawClient {
 public:
  explicit RawClient(const Address& server);
  explicit RawClient(int connected_socket);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;

  void send(const ByteVector& bytes) const;
  // Like send, but stops when the server takes no more; says how many bytes went.
  [[nodiscard]] std::size_t send_some(const ByteVector& bytes) const;
  void end_sending() const;
  // The next frame's content; nothing when the server closed the connection (or after 20 seconds).
  [[nodiscard]] std::optional<ByteVector> receive() const;
  [[nodiscard]] bool receive_bytes(std::size_t count) const;
  [[nodiscard]] bool is_closed_by_server() const { return !receive().has_value(); }
  [[nodiscard]] int descriptor() const { return socket_; }

 private:
  [[nodiscard]] bool read_exactly(std::uint8_t* to, std::size_t count) const;
  int socket_ = -1;
};

// One call as a frame. `write` writes the arguments' struct.
template <typename Write>
[[nodiscard]] ByteVector call_frame(Encoding encoding, std::string_view method, std::int32_t seqid,
                                    Write write) {
  MessageWriter writer(encoding);
  writer.protocol()->writeMessageBegin(std::string(method), apache::thrift::protocol::T_CALL, seqid);
  write(*writer.protocol());
  writer.protocol()->writeMessageEnd();
  const Bytes frame = writer.frame();
  return {frame.begin(), frame.end()};
}

// What a frame from the server says.
struct Answer {
  std::string method;
  std::int32_t seqid = 0;
  std::optional<int> exception_type;  // of a TApplicationException
  std::string exception_message;
};
[[nodiscard]] Answer read_answer(const ByteVector& content);

// The outcome of a normal answer, as a channel would return it.
template <typename Method>
[[nodiscard]] Result<Reply<Method>> outcome_of(const ByteVector& content) {
  const auto header = read_message_header(content);
  if (!header) return std::unexpected(header.error());
  MessageReader reader(header->encoding, {});
  auto& in = *reader.begin(content);
  std::string method;
  apache::thrift::protocol::TMessageType type{};
  std::int32_t seqid = 0;
  in.readMessageBegin(method, type, seqid);
  return read_outcome<Method>(in);
}

}  // namespace troth::rpc::test
