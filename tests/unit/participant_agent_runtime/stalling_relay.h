// Between sessions and their server: what passes until it is told to stall, as behind a server that is stopped, or a
// network that drops everything. Connections are accepted all the same, as a stopped server's kernel does it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <sys/socket.h>

namespace troth::agent {

class StallingRelay {
 public:
  StallingRelay(const std::string& host, std::uint16_t port)
      : server_{asio::ip::make_address(host), port},
        acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}),
        thread_([this] { accept(); }) {}
  ~StallingRelay() {
    ended_ = true;
    resume();
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
    for (Link& link : links_) {
      ::shutdown(link.client.native_handle(), SHUT_RDWR);
      ::shutdown(link.server.native_handle(), SHUT_RDWR);
      link.up.join();
      link.down.join();
    }
  }
  StallingRelay(const StallingRelay&) = delete;
  StallingRelay& operator=(const StallingRelay&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void stall() { stalled_ = true; }
  void resume() {
    {
      const std::lock_guard lock(mutex_);
      stalled_ = false;
    }
    resumed_.notify_all();
  }

 private:
  struct Link {
    explicit Link(asio::io_context& loop) : client(loop), server(loop) {}
    asio::ip::tcp::socket client;
    asio::ip::tcp::socket server;
    std::thread up;
    std::thread down;
  };

  void accept() {
    for (;;) {
      Link& link = links_.emplace_back(loop_);
      asio::error_code problem;
      acceptor_.accept(link.client, problem);
      if (!problem && !ended_) link.server.connect(server_, problem);
      if (problem || ended_) {
        links_.pop_back();
        return;
      }
      link.up = std::thread([this, &link] { forward(link.client, link.server); });
      link.down = std::thread([this, &link] { forward(link.server, link.client); });
    }
  }

  void forward(asio::ip::tcp::socket& from, asio::ip::tcp::socket& to) {
    std::array<char, 4096> buffer{};
    asio::error_code ended;
    while (!ended) {
      const std::size_t bytes = from.read_some(asio::buffer(buffer), ended);
      {
        std::unique_lock lock(mutex_);
        resumed_.wait(lock, [this] { return !stalled_; });
      }
      if (!ended) asio::write(to, asio::buffer(buffer.data(), bytes), ended);
    }
    ::shutdown(to.native_handle(), SHUT_RDWR);
    ::shutdown(from.native_handle(), SHUT_RDWR);
  }

  asio::io_context loop_;
  const asio::ip::tcp::endpoint server_;
  asio::ip::tcp::acceptor acceptor_;
  std::list<Link> links_;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> stalled_ = false;
  std::mutex mutex_;
  std::condition_variable resumed_;
  std::thread thread_;
};

}  // namespace troth::agent
