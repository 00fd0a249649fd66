// bench/runtime/stock_client.h
//
// A connection with the generated stock client of one of Troth's services: blocking socket, framed transport,
// binary protocol, as services in any language have it.
#pragma once

#include <memory>

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include "bench/runtime/stage.h"

namespace troth::bench {

// Throws what Thrift throws. Not for several threads.
template <typename Client>
class StockClient {
 public:
  explicit StockClient(const TrothAddress& address) : StockClient(open(address)) {}

  Client* operator->() { return &client_; }

 private:
  using Transport = apache::thrift::transport::TFramedTransport;
  using Protocol = apache::thrift::protocol::TBinaryProtocol;

  static std::shared_ptr<Transport> open(const TrothAddress& address) {
    // A server that does not answer for so long has lost the call.
    constexpr int kTimeoutMs = 60'000;
    auto socket = std::make_shared<apache::thrift::transport::TSocket>(address.host, address.port);
    socket->setConnTimeout(kTimeoutMs);
    socket->setRecvTimeout(kTimeoutMs);
    socket->setSendTimeout(kTimeoutMs);
    auto transport = std::make_shared<Transport>(std::move(socket));
    transport->open();
    return transport;
  }

  explicit StockClient(std::shared_ptr<Transport> transport)
      : client_(std::make_shared<Protocol>(std::move(transport))) {}

  Client client_;
};

}  // namespace troth::bench
