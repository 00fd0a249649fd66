#include "base/runtime/http_server.h"

#include <map>
#include <thread>
#include <utility>

#include <asio/bind_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>

namespace troth {
namespace {

using asio::ip::tcp;

constexpr std::size_t kMaxRequestBytes = 8192;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    default: return "Service Unavailable";
  }
}

std::string response_of(const HttpAnswer& answer, bool with_body) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n{}",
      answer.status, reason_of(answer.status), answer.content_type, answer.body.size(),
      with_body ? std::string_view(answer.body) : std::string_view());
}

// "GET /metrics?x HTTP/1.1" in its three words; false: it is none.
bool read_request_line(std::string_view line, std::string_view& method, std::string_view& path) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return false;
  if (!line.substr(last + 1).starts_with("HTTP/1.")) return false;
  method = line.substr(0, first);
  path = line.substr(first + 1, last - first - 1);
  path = path.substr(0, path.find('?'));
  return path.starts_with('/');
}

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<HttpServer::Core> {
 public:
  Core(HttpServerOptions options, Answer answer)
      : options_(std::move(options)), answer_(std::move(answer)), acceptor_(loop_), pause_(loop_) {}

  Status listen() {
    asio::error_code problem;
    const auto found =
        tcp::resolver(loop_).resolve(options_.host, std::to_string(options_.port),
                                     tcp::resolver::passive | tcp::resolver::numeric_service, problem);
    if (!problem && found.empty()) problem = asio::error::host_not_found;
    if (!problem) acceptor_.open(found.begin()->endpoint().protocol(), problem);
    if (!problem) acceptor_.set_option(tcp::acceptor::reuse_address(true), problem);
    if (!problem) acceptor_.bind(found.begin()->endpoint(), problem);
    if (!problem) acceptor_.listen(asio::socket_base::max_listen_connections, problem);
    if (problem) {
      return fail(
          ErrorCode::kIo, Effect::kNone,
          fmt::format("cannot listen on {}:{} (http_listen): {}; choose another address, or stop what "
                      "listens there",
                      options_.host, options_.port, problem.message()));
    }
    const auto bound = acceptor_.local_endpoint(problem);
    const auto host = bound.address().to_string();
    address_ = bound.address().is_v6() ? fmt::format("[{}]:{}", host, bound.port())
                                       : fmt::format("{}:{}", host, bound.port());
    return {};
  }

  void start() {
    accept();
    thread_ = std::thread([this] { loop_.run(); });
  }

  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    connections_.clear();
    answer_ = nullptr;
  }

  void post(std::function<void()> action) { asio::post(loop_, std::move(action)); }
  void post_after(std::chrono::milliseconds delay, std::function<void()> action) {
    post([this, delay, action = std::move(action)] {
      const auto timer = std::make_shared<asio::steady_timer>(loop_, delay);
      timer->async_wait([timer, action](const asio::error_code& stopped) {
        if (!stopped) action();
      });
    });
  }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  struct Connection {
    Connection(tcp::socket connected, asio::io_context& loop) : socket(std::move(connected)), limit(loop) {}
    tcp::socket socket;
    asio::steady_timer limit;
    std::string request;
    std::string response;
    bool with_body = true;
    bool answering = false;
  };
  using Number = std::uint64_t;

  void accept() {
    acceptor_.async_accept([this](const asio::error_code& problem, tcp::socket socket) {
      if (!problem) {
        begin(std::move(socket));
        return accept();
      }
      // Out of file descriptors, mostly: asking again at once would only spin.
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([this](const asio::error_code& stopped) {
        if (!stopped) accept();
      });
    });
  }

  void begin(tcp::socket socket) {
    if (connections_.size() >= options_.max_connections) end(connections_.begin()->first);
    const auto number = ++last_number_;
    auto& connection =
        *connections_.emplace(number, std::make_shared<Connection>(std::move(socket), loop_)).first->second;
    connection.limit.expires_after(options_.connection_time);
    connection.limit.async_wait([this, number](const asio::error_code& stopped) {
      if (!stopped) time_is_up(number);
    });
    read(number);
  }

  std::shared_ptr<Connection> find(Number number) {
    const auto found = connections_.find(number);
    return found == connections_.end() ? nullptr : found->second;
  }

  void read(Number number) {
    const auto connection = find(number);
    asio::async_read_until(connection->socket, asio::dynamic_buffer(connection->request, kMaxRequestBytes),
                           "\r\n\r\n",
                           [this, number, connection](const asio::error_code& problem, std::size_t) {
                             if (find(number) == nullptr) return;
                             if (problem == asio::error::not_found)
                               return answer(number, {400, "the request is too long\n"});
                             if (problem) return end(number);
                             dispatch(number, *connection);
                           });
  }

  void dispatch(Number number, Connection& connection) {
    std::string_view method;
    std::string_view path;
    const std::string_view line(connection.request.data(), connection.request.find("\r\n"));
    if (!read_request_line(line, method, path)) return answer(number, {400, "this is no HTTP/1 request\n"});
    connection.with_body = method != "HEAD";
    if (method != "GET" && method != "HEAD") return answer(number, {405, "only GET is answered here\n"});
    answer_(std::string(path), [weak = weak_from_this(), number](HttpAnswer given) {
      const auto core = weak.lock();
      if (!core) return;
      core->post([weak, number, given = std::move(given)] {
        if (const auto self = weak.lock()) self->answer(number, given);
      });
    });
  }

  void answer(Number number, const HttpAnswer& given) {
    const auto connection = find(number);
    if (connection == nullptr || std::exchange(connection->answering, true)) return;
    connection->response = response_of(given, connection->with_body);
    asio::async_write(connection->socket, asio::buffer(connection->response),
                      [this, number, connection](const asio::error_code&, std::size_t) { end(number); });
  }

  // Asked and not answered: said so, with a moment more to hear it. Else it is the client that is slow.
  void time_is_up(Number number) {
    const auto connection = find(number);
    if (connection == nullptr) return;
    const bool asked = connection->request.find("\r\n\r\n") != std::string::npos;
    if (!asked || connection->answering) return end(number);
    answer(number, {503, "no answer came in time\n"});
    connection->limit.expires_after(std::chrono::seconds(1));
    connection->limit.async_wait([this, number](const asio::error_code& stopped) {
      if (!stopped) end(number);
    });
  }

  void end(Number number) {
    const auto connection = find(number);
    if (connection == nullptr) return;
    asio::error_code ignored;
    connection->socket.shutdown(tcp::socket::shutdown_both, ignored);
    connection->socket.close(ignored);
    connection->limit.cancel();
    connections_.erase(number);
  }

  const HttpServerOptions options_;
  Answer answer_;
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(loop_);
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::string address_;
  std::map<Number, std::shared_ptr<Connection>> connections_;  // the oldest first
  Number last_number_ = 0;
  std::thread thread_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::open(HttpServerOptions options, Answer answer) {
  auto core = std::make_shared<Core>(std::move(options), std::move(answer));
  if (auto listening = core->listen(); !listening) return std::unexpected(std::move(listening.error()));
  core->start();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
  core_->stop();
}

const std::string& HttpServer::address() const {
  return core_->address();
}

void HttpServer::post(std::function<void()> action) {
  core_->post(std::move(action));
}

void HttpServer::post_after(std::chrono::milliseconds delay, std::function<void()> action) {
  core_->post_after(delay, std::move(action));
}

}  // namespace troth
