#include "thrift/runtime/server.h"

#include <algorithm>
#include <utility>

#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "thrift/runtime/connection.h"
#include "thrift/runtime/server_state.h"
#include "thrift/runtime/tls.h"

namespace troth::rpc {
namespace {

using asio::ip::tcp;

constexpr std::size_t kMostTurnedAway = 64;  // connections that only wait to hear that there are too many
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kShortestWatch = std::chrono::milliseconds(5);
constexpr auto kLongestWatch = std::chrono::milliseconds(500);

std::unexpected<Error> cannot_listen(const Address& address, const asio::error_code& problem) {
  return fail(ErrorCode::kIo, Effect::kNone,
              fmt::format("cannot listen on {}: {}; choose another address, or stop what listens there",
                          address.text(), problem.message()));
}

Result<tcp::endpoint> resolve(asio::io_context& loop, const Address& address) {
  asio::error_code problem;
  tcp::resolver resolver(loop);
  const auto found = resolver.resolve(address.host, std::to_string(address.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, problem);
  if (problem || found.empty()) return cannot_listen(address, problem);
  return found.begin()->endpoint();
}

}  // namespace

struct ServerState::Listener {
  explicit Listener(asio::io_context& loop) : acceptor(loop), pause(loop) {}
  tcp::acceptor acceptor;
  asio::steady_timer pause;
};

ServerState::ServerState(asio::io_context& loop, ServerOptions options)
    : loop_(loop),
      options_(std::move(options)),
      binary_reader_(Encoding::kBinary, options_.message),
      compact_reader_(Encoding::kCompact, options_.message),
      timers_(std::make_unique<Timers>(loop)) {}

Result<Address> ServerState::listen(const Address& address) {
  const auto endpoint = resolve(loop_, address);
  if (!endpoint) return std::unexpected(endpoint.error());
  if (!options_.tls && !is_loopback(endpoint->address())) return refuse_without_tls(address.text());
  const auto listener = std::make_shared<Listener>(loop_);
  asio::error_code problem;
  listener->acceptor.open(endpoint->protocol(), problem);
  if (!problem) listener->acceptor.set_option(tcp::acceptor::reuse_address(true), problem);
  if (!problem) listener->acceptor.bind(*endpoint, problem);
  if (!problem) listener->acceptor.listen(asio::socket_base::max_listen_connections, problem);
  if (problem) return cannot_listen(address, problem);
  const auto bound = listener->acceptor.local_endpoint(problem);
  if (problem) return cannot_listen(address, problem);
  listeners_.push_back(listener);
  accept(listener);
  return Address{bound.address().to_string(), bound.port()};
}

void ServerState::accept(const std::shared_ptr<Listener>& listener) {
  listener->acceptor.async_accept(
      [self = shared_from_this(), listener](const asio::error_code& problem, Stream::Socket socket) {
        if (!listener->acceptor.is_open()) return;
        if (!problem) {
          self->on_accepted(std::move(socket));
          return self->accept(listener);
        }
        // Out of file descriptors, mostly: asking again at once would only spin.
        self->trouble(fmt::format("cannot accept a connection: {}", problem.message()));
        listener->pause.expires_after(kAcceptPause);
        listener->pause.async_wait([self, listener](const asio::error_code&) {
          if (listener->acceptor.is_open()) self->accept(listener);
        });
      });
}

void ServerState::on_accepted(Stream::Socket socket) {
  ++counts_.accepted;
  if (options_.tls) make_room_for_handshake();
  const auto connection =
      std::make_shared<Connection>(shared_from_this(), ++last_connection_, std::move(socket));
  connections_.emplace(connection->id(), connection);
  counts_.connections = connections_.size();
  if (options_.tls) handshaking_.insert(connection->id());
  connection->start();
  if (!std::exchange(watching_timeouts_, true)) watch_timeouts();
}

// A client that means it is through its handshake in a few round trips. Who stays in it longest loses, so that those who
// never end theirs keep nobody out.
void ServerState::make_room_for_handshake() {
  if (handshaking_.size() < options_.max_handshakes) return;
  const auto oldest = connections_.find(*handshaking_.begin())->second;
  oldest->give_up_handshake(fmt::format("{} others are in their handshake", handshaking_.size()));
}

Place ServerState::admit(const Connection& connection, std::string& why) {
  handshaking_.erase(connection.id());
  if (admitted_ >= options_.max_connections) {
    why = fmt::format("all {} connections are taken (max_connections)", admitted_);
  } else if (const Caller* caller = connection.caller()) {
    auto& of_caller = admitted_by_caller_[caller->text()];
    if (of_caller < options_.max_connections_per_caller) {
      ++of_caller;
    } else {
      why = fmt::format("{} has {} connections (max_connections_per_caller)", caller->text(), of_caller);
    }
  }
  if (why.empty()) {
    ++admitted_;
    return Place::kAdmitted;
  }
  if (turned_away_ < kMostTurnedAway) {
    ++turned_away_;
    return Place::kTurnedAway;
  }
  ++counts_.overloaded;
  return Place::kNone;
}

void ServerState::connection_closed(const Connection& connection) {
  if (connections_.erase(connection.id()) == 0) return;
  counts_.connections = connections_.size();
  switch (connection.place()) {
    case Place::kHandshake: handshaking_.erase(connection.id()); break;
    case Place::kAdmitted: {
      --admitted_;
      const Caller* caller = connection.caller();
      if (caller == nullptr) break;
      const auto of_caller = admitted_by_caller_.find(caller->text());
      if (--of_caller->second == 0) admitted_by_caller_.erase(of_caller);
      break;
    }
    case Place::kTurnedAway: --turned_away_; break;
    case Place::kNone: break;
  }
}

// One timer looks after all connections, as long as there are any.
void ServerState::watch_timeouts() {
  Duration shortest = std::min(options_.frame_timeout, options_.write_timeout);
  if (options_.tls) shortest = std::min(shortest, options_.handshake_timeout);
  if (options_.idle_timeout > Duration::zero()) shortest = std::min(shortest, options_.idle_timeout);
  timers_->timeouts.expires_after(std::clamp<Duration>(shortest / 4, kShortestWatch, kLongestWatch));
  timers_->timeouts.async_wait([self = shared_from_this()](const asio::error_code& problem) {
    if (problem || self->closed_) return;
    const auto connections = self->connections_;  // closing one changes the map
    const auto now = Connection::Clock::now();
    for (const auto& [id, connection] : connections)
      connection->check_timeouts(now);
    self->watching_timeouts_ = !self->connections_.empty();
    if (self->watching_timeouts_) self->watch_timeouts();
  });
}

void ServerState::stop_accepting() {
  for (const auto& listener : listeners_) {
    asio::error_code ignored;
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  listeners_.clear();
}

void ServerState::drain(Duration limit, std::function<void(bool)> done) {
  CHECK(!draining_ && !closed_, "a server is drained once, and before it is closed");
  stop_accepting();
  draining_ = true;
  drained_ = std::move(done);
  timers_->drain.expires_after(limit);
  timers_->drain.async_wait([self = shared_from_this()](const asio::error_code& problem) {
    if (!problem) self->finish_drain(false);
  });
  finish_drain_when_quiet();
}

// Posted, because an answer is counted as given a moment before its bytes are counted as unsent.
void ServerState::finish_drain_when_quiet() {
  if (!drained_) return;
  asio::post(loop_, [self = shared_from_this()] {
    if (self->counts_.calls == 0 && self->unsent_bytes_ == 0) self->finish_drain(true);
  });
}

void ServerState::finish_drain(bool all_answered) {
  if (!timers_) return;
  timers_->drain.cancel();
  if (const auto done = std::exchange(drained_, nullptr)) done(all_answered);
}

void ServerState::close() {
  if (std::exchange(closed_, true)) return;
  stop_accepting();
  timers_.reset();
  drained_ = nullptr;
  for (const auto& [id, connection] : std::exchange(connections_, {}))
    connection->close();
  services_.clear();
}

MessageReader& ServerState::reader(Encoding encoding) {
  return encoding == Encoding::kBinary ? binary_reader_ : compact_reader_;
}

MessageWriter& ServerState::refusal_writer(Encoding encoding) {
  auto& writer = encoding == Encoding::kBinary ? binary_refusals_ : compact_refusals_;
  writer.reset();
  return writer;
}

void ServerState::add_methods(std::span<const std::string_view> methods,
                              const std::shared_ptr<GeneratedService>& service) {
  for (const auto method : methods) {
    const bool is_new = services_.emplace(method, service).second;
    CHECK(is_new, "two services have a method '{}'", method);
  }
}

std::shared_ptr<GeneratedService> ServerState::find_service(std::string_view method) const {
  const auto found = services_.find(method);
  return found == services_.end() ? nullptr : found->second;
}

void ServerState::change_buffered(std::ptrdiff_t held, std::ptrdiff_t unsent) {
  held_bytes_ += static_cast<std::size_t>(held);
  unsent_bytes_ += static_cast<std::size_t>(unsent);
  if (unsent_bytes_ == 0 && unsent != 0) finish_drain_when_quiet();
}

void ServerState::call_ended() {
  --counts_.calls;
  finish_drain_when_quiet();
}

void ServerState::trouble(const std::string& line) const {
  if (options_.on_trouble) options_.on_trouble(line);
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

void Server::take_passed(const CallContext& context, Bytes content, Passed done) {
  state_->take_passed(context, content, std::move(done));
}

void Server::stop_accepting() {
  state_->stop_accepting();
}

void Server::drain(Duration limit, std::function<void(bool)> done) {
  state_->drain(limit, std::move(done));
}

void Server::close() {
  state_->close();
}

ServerCounts Server::counts() const {
  return state_->counts();
}

}  // namespace troth::rpc
