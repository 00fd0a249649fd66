// thrift/runtime/server.h over the simulated network: frames in, the generated processors, frames out.
#include "thrift/runtime/server.h"

#include <map>

#include <asio/io_context.hpp>
#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "base/check.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/machine.h"
#include "thrift/runtime/call.h"
#include "thrift/runtime/diverted_call.h"
#include "thrift/runtime/server_meter.h"

namespace troth::rpc {

using apache::thrift::TApplicationException;

const CallContext* current_call() {
  return nullptr;  // without TLS nobody says who he is
}

class ServerState : public std::enable_shared_from_this<ServerState> {
 public:
  ServerState(asio::io_context& loop, ServerOptions options)
      : node_(loop.node()),
        options_(std::move(options)),
        binary_(Encoding::kBinary, options_.message),
        compact_(Encoding::kCompact, options_.message) {}

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
    Ticket ticket{header->encoding, header->kind, std::string(header->method), header->seqid, 0};
    const auto end = SentBack::begin(shared_from_this(),
                                     [wire](Bytes answer) { wire->send({answer.begin(), answer.end()}); });
    const std::string method = ticket.method;
    const CallContext context{method, "a client", 0, nullptr};
    const auto& divert = options_.divert;
    if (!divert.wanted || !divert.wanted(context, content)) return serve(end, std::move(ticket), content);
    divert.take(std::make_unique<DivertedCall>(shared_from_this(), end, std::move(ticket), context, content));
  }

  void take_passed(Bytes content, Server::Passed done) {
    const auto header = read_message_header(content);
    CHECK(header.has_value());
    Ticket ticket{header->encoding, header->kind, std::string(header->method), header->seqid, 0};
    const auto end =
        SentBack::begin(shared_from_this(), [done = std::move(done)](Bytes answer) { done(answer); });
    serve(end, std::move(ticket), content);
  }

  void serve(const std::shared_ptr<CallEnd>& end, Ticket ticket, Bytes content) {
    const auto found = services_.find(ticket.method);
    if (found == services_.end())
      return end->fail_call(ticket, TApplicationException::UNKNOWN_METHOD, "no service here has this method");
    const bool is_told = ticket.kind == MessageKind::kOneway;
    const std::vector<std::uint8_t> kept(content.begin(), content.end());
    if (auto* witness = node_.world().witness(); witness && !is_told)
      witness->called(node_, ticket.method, kept);
    // They outlive the dispatch where the service answers later.
    const auto service = found->second;
    const auto answer = std::make_shared<MessageWriter>(ticket.encoding);
    auto& reader = ticket.encoding == Encoding::kBinary ? binary_ : compact_;
    service->process(
        [answer, end, service, ticket, kept, is_told, &node = node_](bool was_read) {
          CHECK(was_read, "the arguments of {} cannot be read", ticket.method);
          if (is_told) return end->finish_call(ticket, {});
          const auto bytes = answer->frame();
          if (auto* witness = node.world().witness())
            witness->answered(node, ticket.method, kept, bytes.subspan(kFrameLengthBytes));
          end->finish_call(ticket, bytes);
        },
        reader.begin(kept), answer->protocol());
  }

  [[nodiscard]] Effect effect_of_refusal(const Ticket& ticket, Bytes content) const {
    return options_.effect_of_refusal ? options_.effect_of_refusal(ticket.method, content) : Effect::kNone;
  }

  // As the real one writes it.
  void refuse(const Ticket& ticket, const Error& error, const std::function<void(Bytes)>& send) const {
    MessageWriter writer(ticket.encoding);
    auto& out = *writer.protocol();
    out.writeMessageBegin(ticket.method, apache::thrift::protocol::T_REPLY, ticket.seqid);
    out.writeStructBegin("result");
    out.writeFieldBegin("error", apache::thrift::protocol::T_STRUCT, 1);
    options_.write_error(out, error);
    out.writeFieldEnd();
    out.writeFieldStop();
    out.writeStructEnd();
    out.writeMessageEnd();
    send(writer.frame());
  }

 private:
  // A call's end: its answer goes back to where it came from. Lives until then.
  class SentBack final : public CallEnd {
   public:
    using Send = std::function<void(Bytes answer)>;
    [[nodiscard]] static std::shared_ptr<SentBack> begin(std::shared_ptr<const ServerState> server,
                                                         Send send) {
      return std::shared_ptr<SentBack>(new SentBack(std::move(server), std::move(send)));
    }
    void finish_call(const Ticket& ticket, Bytes frame) override {
      if (ticket.kind != MessageKind::kOneway) send_(frame);
    }
    void refuse_call(const Ticket& ticket, const Error& error) override {
      if (ticket.kind != MessageKind::kOneway) server_->refuse(ticket, error, send_);
    }
    void fail_call(const Ticket& ticket, int type, const std::string& message) override {
      MessageWriter writer(ticket.encoding);
      write_application_exception(writer, ticket.method, ticket.seqid, type, message);
      send_(writer.frame());
    }

   private:
    SentBack(std::shared_ptr<const ServerState> server, Send send)
        : server_(std::move(server)), send_(std::move(send)) {}
    std::shared_ptr<const ServerState> server_;
    Send send_;
  };

  sim::Node& node_;
  ServerOptions options_;
  MessageReader binary_;
  MessageReader compact_;
  std::optional<Address> address_;
  std::map<std::string, std::shared_ptr<GeneratedService>, std::less<>> services_;
};

// ---- a call that waits for its leader

DivertedCall::DivertedCall(std::shared_ptr<ServerState> server, std::shared_ptr<CallEnd> end, Ticket ticket,
                           const CallContext& context, Bytes content)
    : server_(std::move(server)),
      end_(std::move(end)),
      ticket_(std::move(ticket)),
      peer_(context.peer),
      connection_(context.connection),
      content_(content.begin(), content.end()) {}

// Its program has died, or forgot it: the latter is no bug that a client can tell from the former.
DivertedCall::~DivertedCall() = default;

Effect DivertedCall::effect_of_refusal() const {
  return server_->effect_of_refusal(ticket_, content_);
}

void DivertedCall::answer(Bytes frame) {
  end_->finish_call(ticket_, frame);
}

void DivertedCall::refuse(const Error& error) {
  end_->refuse_call(ticket_, error);
}

void DivertedCall::serve_here() {
  server_->serve(end_, std::move(ticket_), content_);
}

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

void Server::take_passed(const CallContext& /*context*/, Bytes content, Passed done) {
  state_->take_passed(content, std::move(done));
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
