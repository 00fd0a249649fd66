// TLS below server and channel: who gets in, who does not, and what each of them is told.
#include "thrift/runtime/tls.h"

#include <fstream>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/support/test_ca.h"
#include "tests/unit/thrift/fake_server.h"
#include "tests/unit/thrift/raw_client.h"
#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/blocking_channel.h"

namespace troth::rpc::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using troth::test::Subject;
using troth::test::TestCa;

const Subject kCoordinator{.unit = "troth-coordinator", .name = "bank"};
const Subject kPayments{.unit = "troth-service", .name = "payments"};

// A server with TLS that keeps what it says of its clients.
class SecureBank {
 public:
  explicit SecureBank(ServerOptions options = {}) : server_(with_tls(std::move(options))) {}

  [[nodiscard]] TestCa& ca() { return ca_; }
  [[nodiscard]] BankServer& server() { return server_; }
  [[nodiscard]] const Address& address() const { return server_.address(); }
  [[nodiscard]] Tls& tls() { return *tls_; }
  [[nodiscard]] std::string troubles() {
    const std::lock_guard lock(mutex_);
    return troubles_;
  }
  [[nodiscard]] bool waits_for_trouble(const std::string& words) {
    return server_.wait_for([&](const ServerCounts&) { return troubles().contains(words); });
  }

  [[nodiscard]] Result<void> ping_as(const Subject& subject) { return ping_with(ca_.tls(subject)); }
  [[nodiscard]] Result<void> ping_with(const TlsPointer& tls, JudgeCaller judge = nullptr) {
    BlockingChannel channel(address(), {.tls = tls, .judge_server = std::move(judge)});
    return channel.call<Bank_ping>(seconds(10));
  }

 private:
  ServerOptions with_tls(ServerOptions options) {
    options.tls = tls_;
    options.on_trouble = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      troubles_ += line + "\n";
    };
    return options;
  }

  TestCa ca_;
  std::shared_ptr<Tls> tls_ = ca_.tls(kCoordinator);
  std::mutex mutex_;
  std::string troubles_;
  BankServer server_;
};

void expect_refused(const Result<void>& reply, std::string_view words) {
  ASSERT_FALSE(reply);
  EXPECT_EQ(name_of(reply.error().effect), name_of(Effect::kNone)) << reply.error().message;
  EXPECT_THAT(reply.error().message, HasSubstr(words));
}

// A client of OpenSSL's own, for what a channel never does.
class TlsClient {
 public:
  TlsClient(const Address& server, const TlsFiles& files)
      : context_(SSL_CTX_new(TLS_client_method())), socket_(server), session_(nullptr) {
    EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context_, files.certificate.c_str()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM), 1);
    session_ = SSL_new(context_);
    SSL_set_fd(session_, socket_.descriptor());
  }
  ~TlsClient() {
    SSL_free(session_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;

  [[nodiscard]] bool shake_hands() { return SSL_connect(session_) == 1; }
  void send(const ByteVector& bytes) { SSL_write(session_, bytes.data(), static_cast<int>(bytes.size())); }
  // False: the server closed the connection.
  [[nodiscard]] bool receive_something() {
    char byte = 0;
    return SSL_read(session_, &byte, 1) == 1;
  }
  [[nodiscard]] const RawClient& socket() const { return socket_; }
  [[nodiscard]] SSL* session() { return session_; }

 private:
  SSL_CTX* context_;
  RawClient socket_;
  SSL* session_;
};

ByteVector ping() {
  return call_frame(Encoding::kBinary, "ping", 0, [](auto& out) { out.writeFieldStop(); });
}

TEST(Tls, BothSidesKnowEachOtherByCertificate) {
  std::string seen_by_server;
  SecureBank bank({.authorize = [&](const CallContext& call) -> Status {
    seen_by_server = call.caller->text();
    return {};
  }});
  std::string seen_by_client;
  const auto reply = bank.ping_with(bank.ca().tls(kPayments), [&](const Caller& peer) -> Status {
    seen_by_client = peer.text();
    return {};
  });
  EXPECT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(seen_by_server, "service/payments");
  EXPECT_EQ(seen_by_client, "coordinator/bank");
}

TEST(Tls, LargeMessagesPassInBothDirections) {
  SecureBank bank;
  BlockingChannel channel(bank.address(), {.tls = bank.ca().tls(kPayments)});
  Item item;
  item.name = std::string(5'000'000, 'x');
  const auto echo = channel.call<Bank_echo>(item, seconds(20));
  ASSERT_TRUE(echo) << echo.error().message;
  EXPECT_EQ(echo->name, item.name);
}

TEST(Tls, CertificatesThatDoNotHoldAreRefusedByName) {
  SecureBank bank;
  TestCa other;
  struct Case {
    TlsPointer tls;
    std::string said_to_log;
  };
  const auto aged = bank.ca().issue({.unit = "troth-service", .name = "aged"});
  const auto early = bank.ca().issue({.unit = "troth-service", .name = "early"});
  const auto plain = bank.ca().issue({.unit = "troth-service", .name = "plain"});
  // Tls::load would refuse these, so each is loaded while it is good: OpenSSL clients are not so careful.
  const auto refuse = [&](const TlsFiles& files, const std::string& said) {
    TlsClient client(bank.address(), files);
    // With TLS 1.3 the client's own handshake is over before the server judges it.
    if (client.shake_hands()) {
      client.send(ping());
      EXPECT_FALSE(client.receive_something()) << said;
    }
    EXPECT_TRUE(bank.waits_for_trouble(said)) << said << " is not in: " << bank.troubles();
  };
  bank.ca().renew(aged, {"troth-service", "aged", -hours(2), -hours(1)});
  bank.ca().renew(early, {"troth-service", "early", hours(1), hours(2)});
  bank.ca().renew(plain, {"", "plain"});
  refuse(aged, "/CN=aged expired on");
  refuse(early, "/CN=early is valid from");
  refuse(plain, "it has no role");
  refuse(other.issue({.unit = "troth-service", .name = "foreign"}),
         "/CN=foreign is not signed by the configured CA");
  EXPECT_TRUE(bank.ping_as(kPayments));
}

TEST(Tls, AClientOfAnotherCaIsToldWithoutEffect) {
  SecureBank bank;
  TestCa other;
  // It trusts the server's CA, but its own certificate is another's.
  auto files = other.issue(kPayments);
  std::ofstream(files.ca, std::ios::app) << std::ifstream(bank.ca().ca_file()).rdbuf();
  const auto tls = Tls::load(files);
  ASSERT_TRUE(tls) << tls.error().message;
  const auto reply = bank.ping_with(*tls);
  expect_refused(reply, "refused our certificate");
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied);
}

TEST(Tls, AServerOfAnotherCaIsRefused) {
  SecureBank bank;
  TestCa other;
  expect_refused(bank.ping_with(other.tls(kPayments)), "CN=bank is not signed by the configured CA");
}

TEST(Tls, AServerInTheWrongRoleIsRefused) {
  SecureBank bank;
  const auto reply = bank.ping_with(bank.ca().tls(kPayments), expect_role(Role::kAgent));
  expect_refused(reply, "coordinator/bank's, and an agent was expected");
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied);
}

TEST(Tls, AClientWithoutCertificateIsRefused) {
  SecureBank bank;
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  const RawClient socket(bank.address());
  SSL* const session = SSL_new(context);
  SSL_set_fd(session, socket.descriptor());
  char byte = 0;
  EXPECT_TRUE(SSL_connect(session) != 1 || SSL_read(session, &byte, 1) != 1);
  EXPECT_TRUE(bank.waits_for_trouble("showed no certificate"));
  SSL_free(session);
  SSL_CTX_free(context);
}

TEST(Tls, OldVersionsAreRefused) {
  SecureBank bank;
  TlsClient client(bank.address(), bank.ca().issue(kPayments));
  SSL_set_security_level(client.session(), 0);  // or OpenSSL itself would not offer it
  SSL_set_min_proto_version(client.session(), TLS1_1_VERSION);
  SSL_set_max_proto_version(client.session(), TLS1_1_VERSION);
  EXPECT_FALSE(client.shake_hands());
  EXPECT_TRUE(bank.waits_for_trouble("TLS handshake failed"));
  EXPECT_TRUE(bank.ping_as(kPayments));
}

TEST(Tls, Version1_2StillWorks) {
  SecureBank bank;
  TlsClient client(bank.address(), bank.ca().issue(kPayments));
  SSL_set_max_proto_version(client.session(), TLS1_2_VERSION);
  ASSERT_TRUE(client.shake_hands());
  EXPECT_STREQ(SSL_get_version(client.session()), "TLSv1.2");
  client.send(ping());
  EXPECT_TRUE(client.receive_something());
}

TEST(Tls, APlainClientOnATlsPortIsToldSo) {
  SecureBank bank;
  expect_refused(bank.ping_with(nullptr), "speaks TLS, and this side has none");
  EXPECT_TRUE(bank.waits_for_trouble("does not speak TLS"));
  EXPECT_TRUE(bank.ping_as(kPayments));
}

TEST(Tls, ATlsClientOnAPlainPortIsToldSo) {
  TestCa ca;
  std::mutex mutex;
  std::string trouble;
  BankServer plain({.on_trouble = [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    trouble = line;
  }});
  BlockingChannel channel(plain.address(), {.tls = ca.tls(kPayments)});
  expect_refused(channel.call<Bank_ping>(seconds(10)), "does it use TLS");
  const std::lock_guard lock(mutex);
  EXPECT_THAT(trouble, HasSubstr("it speaks TLS, and this server has none"));
}

TEST(Tls, GarbageAfterTheHandshakeEndsThatConnectionOnly) {
  SecureBank bank;
  const auto files = bank.ca().issue(kPayments);
  TlsClient beside(bank.address(), files), below(bank.address(), files);
  ASSERT_TRUE(beside.shake_hands());
  ASSERT_TRUE(below.shake_hands());
  // Well encrypted, and no frame.
  beside.send(bytes_of("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(beside.receive_something());
  EXPECT_TRUE(bank.waits_for_trouble("expected Thrift's framed transport"));
  // Not even a TLS record.
  below.socket().send(bytes_of("garbage that is no record of TLS at all"));
  EXPECT_FALSE(below.receive_something());
  EXPECT_TRUE(bank.waits_for_trouble("what it sent is not TLS"));
  // A record that was changed on its way.
  TlsClient forged(bank.address(), files);
  ASSERT_TRUE(forged.shake_hands());
  forged.socket().send({0x17, 0x03, 0x03, 0x00, 0x20, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                        15,   16,   17,   18,   19,   20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32});
  EXPECT_FALSE(forged.receive_something());
  EXPECT_TRUE(bank.ping_as(kPayments));
}

TEST(Tls, ASlowHandshakeIsCutOff) {
  SecureBank bank({.handshake_timeout = milliseconds(100)});
  const RawClient silent(bank.address());
  const RawClient slow(bank.address());
  slow.send({0x16, 0x03, 0x01});  // the beginning of a ClientHello
  EXPECT_TRUE(silent.is_closed_by_server());
  EXPECT_TRUE(slow.is_closed_by_server());
  EXPECT_TRUE(bank.waits_for_trouble("has not ended within its timeout"));
  EXPECT_EQ(bank.server().counts().handshakes_failed, 2);
}

TEST(Tls, ASlowFrameIsCutOff) {
  SecureBank bank({.frame_timeout = milliseconds(100)});
  TlsClient slow(bank.address(), bank.ca().issue(kPayments));
  ASSERT_TRUE(slow.shake_hands());
  slow.send({0, 0, 0, 100, 1, 2, 3});
  EXPECT_FALSE(slow.receive_something());
  EXPECT_EQ(bank.server().counts().closed_slow, 1);
}

TEST(Tls, ThousandsInTheirHandshakeKeepNobodyOut) {
  constexpr std::size_t kSilent = 3000;
  SecureBank bank({.max_connections = 10, .max_handshakes = 50, .handshake_timeout = hours(1)});
  std::vector<RawClient> silent;
  silent.reserve(kSilent);
  for (std::size_t i = 0; i < kSilent; ++i)
    silent.emplace_back(bank.address());
  ASSERT_TRUE(bank.server().wait_for([](const ServerCounts& counts) { return counts.accepted == kSilent; }));
  EXPECT_LE(bank.server().counts().connections, 51);
  const auto reply = bank.ping_as(kPayments);
  EXPECT_TRUE(reply) << reply.error().message;
  EXPECT_TRUE(silent.front().is_closed_by_server());
  EXPECT_THAT(bank.troubles(), HasSubstr("50 others are in their handshake"));
}

TEST(Tls, IdleConnectionsOfOneCallerLeaveRoomForOthers) {
  SecureBank bank({.max_connections = 1000, .max_connections_per_caller = 200});
  const auto tls = bank.ca().tls({.unit = "troth-service", .name = "greedy"});
  std::vector<std::unique_ptr<BlockingChannel>> idle;
  for (int i = 0; i < 200; ++i) {
    auto& channel =
        idle.emplace_back(std::make_unique<BlockingChannel>(bank.address(), ChannelOptions{.tls = tls}));
    ASSERT_TRUE(channel->call<Bank_ping>(seconds(10)));
  }
  expect_refused(bank.ping_with(tls), "service/greedy has 200 connections (max_connections_per_caller)");
  EXPECT_TRUE(bank.ping_as(kPayments));
  idle.pop_back();
  EXPECT_TRUE(bank.server().wait_for([](const ServerCounts& counts) { return counts.connections <= 199; }));
  EXPECT_TRUE(bank.ping_with(tls));
}

TEST(Tls, PastTheConnectionLimitTheNameOfTheLimitIsTold) {
  SecureBank bank({.max_connections = 2});
  const auto tls = bank.ca().tls(kPayments);
  BlockingChannel one(bank.address(), {.tls = tls}), two(bank.address(), {.tls = tls});
  ASSERT_TRUE(one.call<Bank_ping>(seconds(10)));
  ASSERT_TRUE(two.call<Bank_ping>(seconds(10)));
  expect_refused(bank.ping_with(tls), "all 2 connections are taken (max_connections)");
}

TEST(Tls, WhatMayNotBeCalledIsRefusedAndTheConnectionGoesOn) {
  SecureBank bank({.authorize = [](const CallContext& call) -> Status {
    if (call.method != "echo") return {};
    return fail(ErrorCode::kPermissionDenied, Effect::kUnknown, "echo is not for you");
  }});
  BlockingChannel channel(bank.address(), {.tls = bank.ca().tls(kPayments)});
  const auto refused = channel.call<Bank_echo>(Item(), seconds(10));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("echo is not for you"));
  EXPECT_EQ(refused.error().effect, Effect::kNone);
  EXPECT_TRUE(channel.call<Bank_ping>(seconds(10)));
  EXPECT_EQ(bank.server().counts().denied, 1);
}

TEST(Tls, ARenewedCertificateIsForNewConnections) {
  SecureBank bank;
  const auto client = bank.ca().tls(kPayments);
  BlockingChannel before(bank.address(), {.tls = client});
  ASSERT_TRUE(before.call<Bank_ping>(seconds(10)));
  const auto files = bank.tls().files();
  const auto expiry = bank.tls().expires();
  bank.ca().renew(files, {.unit = "troth-coordinator", .name = "bank", .valid_to = hours(48)});
  bank.server().on_loop([&](Server&) { EXPECT_TRUE(bank.tls().reload()); });
  EXPECT_GT(bank.tls().expires(), expiry);
  EXPECT_TRUE(before.call<Bank_ping>(seconds(10)));
  TlsClient after(bank.address(), bank.ca().issue(kPayments));
  ASSERT_TRUE(after.shake_hands());
  const X509* shown = SSL_get0_peer_certificate(after.session());
  int days = 0, odd = 0;
  ASN1_TIME_diff(&days, &odd, nullptr, X509_get0_notAfter(shown));
  EXPECT_GE(days, 1);
}

TEST(Tls, AFailedReloadKeepsWhatWas) {
  SecureBank bank;
  const auto files = bank.tls().files();
  const auto expect_kept = [&](std::string_view words) {
    bank.server().on_loop([&](Server&) {
      const auto reloaded = bank.tls().reload();
      ASSERT_FALSE(reloaded);
      EXPECT_THAT(reloaded.error().message, HasSubstr(words));
    });
    EXPECT_TRUE(bank.ping_as(kPayments));
  };
  std::ofstream(files.certificate) << "half a certif";
  expect_kept("tls.certificate " + files.certificate);
  bank.ca().renew(files, {.unit = "troth-coordinator", .name = "another"});
  expect_kept("it is coordinator/another's, and this process runs as coordinator/bank");
  bank.ca().renew(files, {"troth-coordinator", "bank", -hours(2), -hours(1)});
  expect_kept("expired on");
  std::remove(files.key.c_str());
  expect_kept("tls.key " + files.key);
}

TEST(Tls, FilesThatCannotWorkAreRefusedByNameAtTheStart) {
  TestCa ca, other;
  const auto expect_unusable = [](TlsFiles files, std::string_view words) {
    const auto tls = Tls::load(std::move(files), Role::kCoordinator);
    ASSERT_FALSE(tls);
    EXPECT_EQ(tls.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(tls.error().message, HasSubstr(words));
  };
  const auto good = ca.issue(kCoordinator);
  expect_unusable({good.ca, "", good.key}, "tls.certificate");
  expect_unusable({good.ca, good.certificate, "/no/such/key"}, "tls.key /no/such/key: No such file");
  expect_unusable({good.key, good.certificate, good.key}, "tls.ca " + good.key);
  expect_unusable({good.ca, good.certificate, other.issue(kCoordinator).key}, "tls.key");
  expect_unusable({other.ca_file(), good.certificate, good.key}, "not signed by the configured CA");
  expect_unusable(ca.issue(kPayments),
                  "service/payments's, and this process needs one with OU=troth-coordinator");
  expect_unusable(ca.issue({"troth-coordinator", "late", -hours(2), -hours(1)}), "expired on");
  expect_unusable(ca.issue({"troth-coordinator", "a b"}), "its CN is not");
}

TEST(Tls, WithoutItOnlyLoopbackIsListenedOnAndCalled) {
  asio::io_context loop;
  Server server(loop, {});
  for (const char* host : {"0.0.0.0", "::", "192.0.2.1"}) {
    const auto listening = server.listen({host, 0});
    ASSERT_FALSE(listening) << host;
    EXPECT_THAT(listening.error().message, HasSubstr("set tls.ca, tls.certificate and tls.key"));
  }
  EXPECT_TRUE(server.listen({"localhost", 0}));
  BlockingChannel channel({"192.0.2.1", 7710});
  expect_refused(channel.call<Bank_ping>(seconds(10)), "192.0.2.1:7710 is not on this machine's loopback");
}

}  // namespace
}  // namespace troth::rpc::test
