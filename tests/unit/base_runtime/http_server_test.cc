#include "base/runtime/http_server.h"

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "tests/unit/base_runtime/http_client.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::unique_ptr<HttpServer> server_of(HttpServer::Answer answer, HttpServerOptions options = {}) {
  options.host = "127.0.0.1";
  auto server = HttpServer::open(std::move(options), std::move(answer));
  EXPECT_TRUE(server.has_value());
  return *std::move(server);
}

void echo(const std::string& path, const std::function<void(HttpAnswer)>& done) {
  done({200, "you asked for " + path + "\n"});
}

TEST(HttpServer, AnswersAGetAndClosesTheConnection) {
  const auto server = server_of(echo);
  const auto answer = http_get(server->address(), "/metrics?format=text");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 23\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nyou asked for /metrics\n"));
}

TEST(HttpServer, RefusesWhatIsNoGet) {
  const auto server = server_of(echo);
  HttpClient post(server->address());
  post.send("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(post.read_all(), StartsWith("HTTP/1.1 405 "));
  HttpClient nonsense(server->address());
  nonsense.send("\x80\x01\x02\x01 thrift?\r\n\r\n");
  EXPECT_THAT(nonsense.read_all(), StartsWith("HTTP/1.1 400 "));
  HttpClient head(server->address());
  head.send("HEAD /x HTTP/1.0\r\n\r\n");
  EXPECT_THAT(head.read_all(), EndsWith("\r\n\r\n"));
}

TEST(HttpServer, RefusesARequestThatIsTooLong) {
  const auto server = server_of(echo);
  HttpClient client(server->address());
  client.send("GET / HTTP/1.1\r\nX: " + std::string(8192 - 19, 'x'));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 400 "));
}

TEST(HttpServer, ASlowClientIsCutOffWhateverItDribbles) {
  const auto server = server_of(echo, {.host = {}, .connection_time = 200ms});
  HttpClient silent(server->address());
  HttpClient slow(server->address());
  slow.send("GET / HTTP");
  const auto before = boot_now();
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow.read_all(), "");
  EXPECT_LT(boot_now() - before, 4s);
}

TEST(HttpServer, ManyIdleConnectionsDoNotKeepAnybodyOut) {
  const auto server = server_of(echo, {.host = {}, .max_connections = 4, .connection_time = 60s});
  std::vector<std::unique_ptr<HttpClient>> idle;
  for (int n = 0; n < 20; ++n)
    idle.push_back(std::make_unique<HttpClient>(server->address()));
  EXPECT_THAT(http_get(server->address(), "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(idle.front()->read_all(), "");  // the oldest went
}

TEST(HttpServer, AnAnswerThatDoesNotComeIs503) {
  std::function<void(HttpAnswer)> kept;
  const auto server = server_of([&kept](const std::string&, auto done) { kept = std::move(done); },
                                {.host = {}, .connection_time = 100ms});
  EXPECT_THAT(http_get(server->address(), "/metrics"), StartsWith("HTTP/1.1 503 "));
  kept({200, "too late"});
}

TEST(HttpServer, AnAnswerAfterTheServersEndDoesNothing) {
  std::function<void(HttpAnswer)> kept;
  auto server = server_of([&kept](const std::string&, auto done) { kept = std::move(done); },
                          {.host = {}, .connection_time = 100ms});
  EXPECT_THAT(http_get(server->address(), "/"), StartsWith("HTTP/1.1 503 "));
  server.reset();
  kept({200, "too late"});
}

TEST(HttpServer, AnAddressInUseIsNamed) {
  const auto server = server_of(echo);
  HttpServerOptions options;
  options.host = "127.0.0.1";
  options.port = static_cast<std::uint16_t>(std::stoi(server->address().substr(10)));
  const auto second = HttpServer::open(options, echo);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, HasSubstr(server->address()));
}

}  // namespace
}  // namespace troth
