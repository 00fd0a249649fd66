// What libpq has, taken without waiting, where the descriptor does not tell of it. The server here is a script behind TLS.
#include "participant_agent/runtime/postgres_answers.h"

#include <array>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test_ca.h"

namespace troth::agent {
namespace {

std::string message(char type, const std::string& body) {
  const std::uint32_t length = htonl(static_cast<std::uint32_t>(body.size() + 4));
  return type + std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + body;
}
std::string notice(std::size_t bytes) {
  using namespace std::string_literals;
  return message('N', "SNOTICE\0C00000\0M"s + std::string(bytes, 'n') + "\0\0"s);
}
std::string ready() {
  return message('Z', "I");
}

// One client: lets it in, and answers its first query with these TLS records, each when it is told to.
class ScriptedServer {
 public:
  explicit ScriptedServer(const rpc::TlsFiles& files)
      : tls_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
    EXPECT_EQ(SSL_CTX_use_certificate_file(tls_.get(), files.certificate.c_str(), SSL_FILETYPE_PEM), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(tls_.get(), files.key.c_str(), SSL_FILETYPE_PEM), 1);
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address_);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address_), length), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &length), 0);
    thread_ = std::thread([this] { let_in(); });
  }
  ~ScriptedServer() {
    thread_.join();
    ::close(client_);
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] int port() const { return ntohs(address_.sin_port); }
  // Behind the client's query.
  void send(const std::string& record) {
    queried_.wait();
    EXPECT_EQ(SSL_write(session_.get(), record.data(), static_cast<int>(record.size())),
              static_cast<int>(record.size()));
  }

 private:
  void let_in() {
    client_ = ::accept(listener_, nullptr, nullptr);
    std::array<char, 8> request{};
    EXPECT_EQ(::recv(client_, request.data(), request.size(), MSG_WAITALL), 8);
    EXPECT_EQ(::send(client_, "S", 1, 0), 1);
    session_.reset(SSL_new(tls_.get()));
    SSL_set_fd(session_.get(), client_);
    EXPECT_EQ(SSL_accept(session_.get()), 1);
    std::array<char, 4096> bytes{};
    EXPECT_GT(SSL_read(session_.get(), bytes.data(), bytes.size()), 0);
    const std::string welcome = message('R', std::string(4, '\0')) + ready();
    EXPECT_GT(SSL_write(session_.get(), welcome.data(), static_cast<int>(welcome.size())), 0);
    EXPECT_GT(SSL_read(session_.get(), bytes.data(), bytes.size()), 0);
    query_came_.set_value();
  }

  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls_;
  std::unique_ptr<SSL, decltype(&SSL_free)> session_{nullptr, &SSL_free};
  sockaddr_in address_{};
  int listener_ = -1;
  int client_ = -1;
  std::promise<void> query_came_;
  const std::shared_future<void> queried_{query_came_.get_future()};
  std::thread thread_;
};

bool has_input(PGconn* connection) {
  pollfd input{.fd = PQsocket(connection), .events = POLLIN, .revents = 0};
  return ::poll(&input, 1, 10'000) == 1;
}

// Of a record for which libpq's buffer had no room, the rest lies in OpenSSL: no input will ever tell of it.
TEST(PostgresAnswersTest, WhatTlsHoldsBackIsTakenToo) {
  test::TestCa ca;
  ScriptedServer server(ca.issue({.unit = "agent", .name = "postgres"}));
  const std::string options =
      fmt::format("host=127.0.0.1 port={} user=u dbname=d sslmode=require", server.port());
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(options.c_str()), &PQfinish);
  ASSERT_EQ(PQstatus(connection.get()), CONNECTION_OK) << PQerrorMessage(connection.get());
  ASSERT_NE(PQsslInUse(connection.get()), 0);
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  ASSERT_EQ(PQsetnonblocking(connection.get(), 1), 0);
  ASSERT_EQ(PQsendQuery(connection.get(), "COMMIT PREPARED 'x'"), 1);
  PostgresAnswers answers(connection.get());
  answers.expect(1);

  // A message that is not whole stays in libpq's buffer of 16 KB, so that the next record, as large as they come, does
  // not fit.
  constexpr std::size_t kLargestRecord = 16'384;
  const std::string end = message('C', std::string("COMMIT PREPARED") + '\0') + ready();
  const std::string first = notice(4'000);
  std::string all = first;
  while (all.size() < 2'000 + kLargestRecord - end.size() - 4'000)
    all += notice(1'000);
  all += notice(2'000 + kLargestRecord - end.size() - all.size() - notice(0).size()) + end;
  ASSERT_EQ(all.size(), 2'000 + kLargestRecord);
  server.send(all.substr(0, 2'000));
  ASSERT_TRUE(has_input(connection.get()));
  EXPECT_EQ(answers.take_arrived(), Arrival::kMore);
  server.send(all.substr(2'000));
  Arrival came = Arrival::kMore;
  while (came == Arrival::kMore) {
    ASSERT_TRUE(has_input(connection.get())) << "something has come that nobody tells of";
    came = answers.take_arrived();
  }
  EXPECT_EQ(came, Arrival::kWell);
  const PostgresResult result = answers.next();
  EXPECT_EQ(PQresultStatus(result.get()), PGRES_COMMAND_OK);
}

}  // namespace
}  // namespace troth::agent
