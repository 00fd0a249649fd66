// A relay between one client and its server, which a test cuts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

namespace troth::agent {

// Between one client and its server; cuts both off from each other after so many more of the server's bytes.
class CuttingRelay {
 public:
  CuttingRelay(const std::string& host, std::uint16_t port)
      : acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}),
        thread_([this, host, port] { run(host, port); }) {}
  ~CuttingRelay() {
    cut();
    thread_.join();
  }
  CuttingRelay(const CuttingRelay&) = delete;
  CuttingRelay& operator=(const CuttingRelay&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void cut_after(std::int64_t bytes) { left_ = bytes; }
  // Of those: not used up.
  [[nodiscard]] std::int64_t left() const { return left_; }
  void cut() {
    asio::error_code ignored;
    client_.shutdown(asio::socket_base::shutdown_both, ignored);
    server_.shutdown(asio::socket_base::shutdown_both, ignored);
  }
  // The client finds itself cut off; the server does not.
  void cut_silently() {
    silent_ = true;
    asio::error_code ignored;
    client_.shutdown(asio::socket_base::shutdown_both, ignored);
  }

 private:
  void run(const std::string& host, std::uint16_t port) {
    acceptor_.accept(client_);
    server_.connect({asio::ip::make_address(host), port});
    std::thread up([this] { forward(client_, server_, nullptr); });
    forward(server_, client_, &left_);
    if (!silent_) cut();
    up.join();
  }
  static void forward(asio::ip::tcp::socket& from, asio::ip::tcp::socket& to,
                      std::atomic<std::int64_t>* left) {
    std::array<char, 4096> buffer{};
    asio::error_code ended;
    while (!ended) {
      auto bytes = static_cast<std::int64_t>(from.read_some(asio::buffer(buffer), ended));
      const bool last = left != nullptr && *left <= bytes;
      if (last) bytes = *left;
      if (left != nullptr) *left -= bytes;
      if (!ended) asio::write(to, asio::buffer(buffer.data(), static_cast<std::size_t>(bytes)), ended);
      if (last) return;
    }
  }

  asio::io_context loop_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::tcp::socket client_{loop_};
  asio::ip::tcp::socket server_{loop_};
  std::atomic<bool> silent_{false};
  std::atomic<std::int64_t> left_{std::numeric_limits<std::int64_t>::max()};
  std::thread thread_;
};

}  // namespace troth::agent
