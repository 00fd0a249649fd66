// thrift/runtime/stream.h
//
// What a connection reads from and writes to: a TCP socket, plain or with TLS over it. Nothing above it knows the
// difference, but for the handshake at its beginning.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>  // Asio 1.22 uses std::exchange without including it

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ssl/error.hpp>
#include <asio/ssl/stream.hpp>

#include "thrift/caller.h"
#include "thrift/runtime/tls.h"

namespace troth::rpc {

class Stream {
 public:
  using Socket = asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;
  enum class Side : std::uint8_t { kClient, kServer };

  explicit Stream(asio::io_context& loop) : socket_(loop) {}
  explicit Stream(Socket socket) : socket_(std::move(socket)) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] Socket& socket() { return socket_; }
  // Of the peer's certificate, once a handshake has ended well; null on a plain stream.
  [[nodiscard]] const Caller* peer() const { return peer_ ? &*peer_ : nullptr; }

  // Before the first byte, on a connected socket. `done(Status)`; `judge` may be empty. An error's message says why, and
  // its effect is none.
  template <typename Done>
  void async_handshake(const Tls& tls, Side side, JudgeCaller judge, Done done) {
    begin_handshake(tls, std::move(judge));
    secure_->async_handshake(
        side == Side::kServer ? asio::ssl::stream_base::server : asio::ssl::stream_base::client,
        [this, side, done = std::move(done)](const asio::error_code& problem) mutable {
          done(end_handshake(side, problem));
        });
  }

  // `done` by reference: Asio makes `buffers` of it in the same breath, and no earlier move may empty it.
  template <typename Buffers, typename Done>
  void async_read_some(const Buffers& buffers, Done&& done) {
    if (!secure_) return socket_.async_read_some(buffers, std::forward<Done>(done));
    secure_->async_read_some(buffers, [done = std::forward<Done>(done)](const asio::error_code& problem,
                                                                        std::size_t count) mutable {
      // Frames say where they end, so an end of stream that TLS did not announce tells nothing new.
      const bool ended = problem == asio::ssl::error::stream_truncated;
      done(ended ? asio::error_code(asio::error::eof) : problem, count);
    });
  }
  template <typename Buffers, typename Done>
  void async_write_some(const Buffers& buffers, Done&& done) {
    if (!secure_) return socket_.async_write_some(buffers, std::forward<Done>(done));
    secure_->async_write_some(buffers, std::forward<Done>(done));
  }

  // Small messages go out at once; failures do not matter, a stream without it is only slower.
  void make_prompt();
  // What is sent and not acknowledged for so long breaks the connection.
  void give_up_after(Duration silence);
  // A peer that is silent for so long is probed, and the connection broken when it does not answer the third probe, a second
  // apart.
  void probe_after(Duration silence);
  // Ends both directions and every pending operation.
  void close();
  // The peer reads to the end of what was written, then sees the end of the stream.
  void end_writing();

 private:
  void begin_handshake(const Tls& tls, JudgeCaller judge);
  [[nodiscard]] Status end_handshake(Side side, const asio::error_code& problem);
  void tell_that_this_is_tls();

  Socket socket_;
  std::shared_ptr<asio::ssl::context> context_;  // of the handshake; a later one is for later connections
  std::optional<asio::ssl::stream<Socket&>> secure_;
  std::optional<Caller> peer_;
  std::string certificate_trouble_;  // of the peer's, found by OpenSSL
  std::string refusal_;              // of the peer's name, by us
};

// This machine's own; also as IPv6 writes an IPv4 address.
[[nodiscard]] bool is_loopback(const asio::ip::address& address);

// A peer's handshake found our own certificate wrong: nothing that was sent on this connection was read by a service.
[[nodiscard]] bool is_certificate_refused(const asio::error_code& problem);

}  // namespace troth::rpc
