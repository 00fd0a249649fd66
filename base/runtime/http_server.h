// base/runtime/http_server.h
//
// Answers GET on one port, on a thread of its own, for machines that look after this process. Small on purpose:
// one request for each connection, no body, no TLS. Whoever is slow, silent or many harms nobody but others that
// look: a connection has a limit of time as a whole, and when there are too many the oldest one goes.
//
// The answer may come at any later time and from any thread; what takes longer than the connection's time is
// answered 503.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace troth {

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string_view content_type = "text/plain; charset=utf-8";
};

struct HttpServerOptions {
  std::string host;
  std::uint16_t port = 0;  // 0: any free one
  std::size_t max_connections = 32;
  std::chrono::milliseconds connection_time{5000};  // from its first moment to its last byte
};

class HttpServer {
 public:
  // Called on the server's own thread; must not block. `done` is called once.
  using Answer = std::function<void(const std::string& path, std::function<void(HttpAnswer)> done)>;

  // Says by name why it cannot listen.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> open(HttpServerOptions options, Answer answer);
  // Ends every connection, and the thread. A `done` that comes later does nothing.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // host:port, with the real port.
  [[nodiscard]] const std::string& address() const;
  // Runs `action` on the server's thread, soon or later.
  void post(std::function<void()> action);
  void post_after(std::chrono::milliseconds delay, std::function<void()> action);

 private:
  class Core;
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace troth
