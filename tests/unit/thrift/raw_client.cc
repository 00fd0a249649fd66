#include "tests/unit/thrift/raw_client.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>
#include <unistd.h>

#include "base/check.h"

namespace troth::rpc::test {

namespace {

void limit_receiving(int socket) {
  const timeval limit{20, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

}  // namespace

ByteVector bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

ByteVector framed(const ByteVector& content) {
  const auto length = frame_length(static_cast<std::uint32_t>(content.size()));
  ByteVector frame(length.begin(), length.end());
  frame.insert(frame.end(), content.begin(), content.end());
  return frame;
}

RawClient::RawClient(const Address& server) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  CHECK(socket_ >= 0, "{}", std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  CHECK(::inet_pton(AF_INET, server.host.c_str(), &address.sin_addr) == 1);
  limit_receiving(socket_);
  CHECK(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "{}",
        std::strerror(errno));
}

RawClient::RawClient(int connected_socket) : socket_(connected_socket) {
  limit_receiving(socket_);
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

RawClient::RawClient(RawClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

void RawClient::send(const ByteVector& bytes) const {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0) return;  // the server closed the connection: the test will see it when it receives
    sent += static_cast<std::size_t>(count);
  }
}

std::size_t RawClient::send_some(const ByteVector& bytes) const {
  const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

void RawClient::end_sending() const {
  ::shutdown(socket_, SHUT_WR);
}

bool RawClient::read_exactly(std::uint8_t* to, std::size_t count) const {
  while (count > 0) {
    const auto got = ::recv(socket_, to, count, 0);
    if (got <= 0) return false;
    to += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

bool RawClient::receive_bytes(std::size_t count) const {
  ByteVector bytes(count);
  return read_exactly(bytes.data(), count);
}

std::optional<ByteVector> RawClient::receive() const {
  std::uint8_t length[kFrameLengthBytes];
  if (!read_exactly(length, sizeof length)) return std::nullopt;
  ByteVector content(static_cast<std::size_t>(length[0]) << 24 | length[1] << 16 | length[2] << 8 |
                     length[3]);
  if (!read_exactly(content.data(), content.size())) return std::nullopt;
  return content;
}

Answer read_answer(const ByteVector& content) {
  const auto header = read_message_header(content);
  CHECK(header, "{}", header.error().message);
  Answer answer{std::string(header->method), header->seqid, std::nullopt, {}};
  if (header->kind != MessageKind::kException) return answer;
  MessageReader reader(header->encoding, {});
  auto& in = *reader.begin(content);
  std::string method;
  apache::thrift::protocol::TMessageType type{};
  std::int32_t seqid = 0;
  in.readMessageBegin(method, type, seqid);
  apache::thrift::TApplicationException exception;
  exception.read(&in);
  answer.exception_type = exception.getType();
  answer.exception_message = exception.what();
  return answer;
}

}  // namespace troth::rpc::test
