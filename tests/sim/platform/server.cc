// thrift/runtime/server.h over the simulated network: frames in, the generated processors, frames out.
#include "thrift/runtime/server.h"

#include <map>

#include <asio/io_context.hpp>
#include <fmt/format.h>
#include <thrift/TApplicationException.h>

#include "base/check.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/machine.h"
#include "thrift/runtime/server_meter.h"

namespace troth::rpc {

using apache::thrift::TApplicationException;

const CallContext* current_call() {
  return nullptr;  // without TLS nobody says who he is
}

class ServerState : public std::enable_shared_from_this<ServerState> {
 public:
  ServerState(asio::io_context& loop, ServerOptions options)
      : node_(loop.node()), options_(std::move(options)), reader_(Encoding::kBinary, options_.message) {}

  void add_methods(std::span<const std::string_view> methods,
                   const std::shared_ptr<GeneratedService>& service) {
    for (const auto method : methods)
      services_.emplace(method, service);
  }

  Result<Address> listen(const Address& address) {
    address_ = address;
    sim::network_of(node_).listen(node_, address.text(), [weak = weak_from_this()](sim::WirePointer wire) {
      sim::Wire::Events events;
      events.on_frame = [weak, wire = std::move(wire)](const sim::Frame& frame) {
        if (const auto self = weak.lock()) self->dispatch(wire, frame);
      };
      return events;
    });
    return address;
  }

  void close() {
    if (address_) sim::network_of(node_).stop_listening(address_->text());
    address_.reset();
    services_.clear();
  }

  void dispatch(const sim::WirePointer& wire, const sim::Frame& frame) {
    const auto content = Bytes(frame).subspan(kFrameLengthBytes);
    const auto header = read_message_header(content);
    CHECK(header.has_value());
    const std::string method(header->method);
    const auto seqid = header->seqid;
    if (auto* witness = node_.world().witness()) witness->called(node_, method, content);
    const auto found = services_.find(method);
    const auto answer = std::make_shared<MessageWriter>(Encoding::kBinary);
    if (found == services_.end()) {
      write_application_exception(*answer, method, seqid, TApplicationException::UNKNOWN_METHOD,
                                  "no service here has this method");
      const auto bytes = answer->frame();
      return wire->send({bytes.begin(), bytes.end()});
    }
    // It outlives its dispatch where the service answers later.
    const auto service = found->second;
    service->process(
        [answer, wire, service, method, frame, &node = node_](bool was_read) {
          CHECK(was_read, "the arguments of {} cannot be read", method);
          const auto bytes = answer->frame();
          if (auto* witness = node.world().witness()) {
            witness->answered(node, method, Bytes(frame).subspan(kFrameLengthBytes),
                              bytes.subspan(kFrameLengthBytes));
          }
          wire->send({bytes.begin(), bytes.end()});
        },
        reader_.begin(content), answer->protocol());
  }

 private:
  sim::Node& node_;
  ServerOptions options_;
  MessageReader reader_;
  std::optional<Address> address_;
  std::map<std::string, std::shared_ptr<GeneratedService>, std::less<>> services_;
};

Server::Server(asio::io_context& loop, ServerOptions options)
    : state_(std::make_shared<ServerState>(loop, std::move(options))) {}

Server::~Server() {
  close();
}

void Server::add_methods(std::span<const std::string_view> methods,
                         std::shared_ptr<GeneratedService> service) {
  state_->add_methods(methods, service);
}

Result<Address> Server::listen(const Address& address) {
  return state_->listen(address);
}

void Server::stop_accepting() {}

void Server::drain(Duration, std::function<void(bool)> done) {
  done(true);
}

void Server::close() {
  state_->close();
}

ServerCounts Server::counts() const {
  return {};
}

}  // namespace troth::rpc
