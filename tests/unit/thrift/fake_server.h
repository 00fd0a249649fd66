// A server whose every byte the test chooses, for answers that a real one never gives.
#pragma once

#include <optional>
#include <string>

#include "tests/unit/thrift/raw_client.h"
#include "thrift/address.h"

namespace troth::rpc::test {

enum class Listening : bool { kNo, kYes };

class FakeServer {
 public:
  // While it does not listen, its port is taken and refuses connections.
  explicit FakeServer(Listening listening = Listening::kYes);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;

  [[nodiscard]] const Address& address() const { return address_; }
  void listen() const;
  // Waits for the next connection; the connection is the test's to read and write.
  [[nodiscard]] RawClient accept() const;

 private:
  int socket_ = -1;
  Address address_;
};

// A call that was received, and its answer with an i64.
struct ReceivedCall {
  std::string method;
  std::int32_t seqid = 0;
};
[[nodiscard]] std::optional<ReceivedCall> receive_call(const RawClient& connection);
[[nodiscard]] ByteVector answer_with(std::string_view method, std::int32_t seqid, std::int64_t number);
[[nodiscard]] ByteVector answer_with_nothing(std::string_view method, std::int32_t seqid);

}  // namespace troth::rpc::test
