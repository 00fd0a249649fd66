// tests/unit/base_runtime/http_client.h
//
// A blocking HTTP client for tests, that can also be rude.
#pragma once

#include <string>

#include <asio/buffer.hpp>
#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

namespace troth {

class HttpClient {
 public:
  // `address` as host:port, on loopback.
  explicit HttpClient(const std::string& address) : socket_(loop_) {
    const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }

  void send(const std::string& bytes) {
    asio::error_code ignored;
    asio::write(socket_, asio::buffer(bytes), ignored);
  }

  // Everything up to the server's end of the connection.
  std::string read_all() {
    std::string all;
    asio::error_code ended;
    asio::read(socket_, asio::dynamic_buffer(all), ended);
    return all;
  }

 private:
  asio::io_context loop_;
  asio::ip::tcp::socket socket_;
};

inline std::string http_get(const std::string& address, const std::string& path) {
  HttpClient client(address);
  client.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
  return client.read_all();
}

}  // namespace troth
