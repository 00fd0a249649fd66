#include "tests/unit/thrift/fake_server.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

namespace troth::rpc::test {

FakeServer::FakeServer(Listening listening) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const int small = 4096;  // so that a test can fill it
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  CHECK(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) == 0, "{}",
        std::strerror(errno));
  CHECK(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  address_ = {"127.0.0.1", ntohs(address.sin_port)};
  const timeval limit{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (listening == Listening::kYes) listen();
}

void FakeServer::listen() const {
  CHECK(::listen(socket_, 16) == 0, "{}", std::strerror(errno));
}

FakeServer::~FakeServer() {
  ::close(socket_);
}

RawClient FakeServer::accept() const {
  const int connection = ::accept(socket_, nullptr, nullptr);
  CHECK(connection >= 0, "nobody connects: {}", std::strerror(errno));
  return RawClient(connection);
}

std::optional<ReceivedCall> receive_call(const RawClient& connection) {
  const auto content = connection.receive();
  if (!content) return std::nullopt;
  const auto header = read_message_header(*content);
  CHECK(header, "{}", header.error().message);
  return ReceivedCall{std::string(header->method), header->seqid};
}

ByteVector answer_with(std::string_view method, std::int32_t seqid, std::int64_t number) {
  MessageWriter writer(Encoding::kBinary);
  auto& out = *writer.protocol();
  out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_REPLY, seqid);
  out.writeFieldBegin("success", apache::thrift::protocol::T_I64, 0);
  out.writeI64(number);
  out.writeFieldStop();
  const Bytes frame = writer.frame();
  return {frame.begin(), frame.end()};
}

ByteVector answer_with_nothing(std::string_view method, std::int32_t seqid) {
  MessageWriter writer(Encoding::kBinary);
  auto& out = *writer.protocol();
  out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_REPLY, seqid);
  out.writeFieldStop();
  const Bytes frame = writer.frame();
  return {frame.begin(), frame.end()};
}

}  // namespace troth::rpc::test
