#include "thrift/runtime/stream.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <asio/buffer.hpp>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>

#include "thrift/runtime/certificate.h"

namespace troth::rpc {
namespace {

int reason_number(const asio::error_code& problem) {
  if (problem.category() != asio::error::get_ssl_category()) return 0;
  return ERR_GET_REASON(static_cast<unsigned long>(problem.value()));
}

bool speaks_no_tls(const asio::error_code& problem) {
  switch (reason_number(problem)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return true;
    default: return false;
  }
}

std::string reason_of(const asio::error_code& problem) {
  if (problem == asio::error::eof || problem == asio::ssl::error::stream_truncated ||
      problem == asio::error::connection_reset) {
    return "the other side ended the connection: does it use TLS, and does its log say why?";
  }
  if (speaks_no_tls(problem)) return "the other side does not speak TLS";
  if (reason_number(problem) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    return "the other side showed no certificate";
  if (is_certificate_refused(problem))
    return fmt::format("the other side refused our certificate ({})", problem.message());
  return problem.message();
}

}  // namespace

bool is_loopback(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

bool is_certificate_refused(const asio::error_code& problem) {
  switch (reason_number(problem)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

void Stream::begin_handshake(const Tls& tls, JudgeCaller judge) {
  context_ = tls.context();
  secure_.emplace(socket_, *context_);
  asio::error_code ignored;
  secure_->set_verify_callback(
      [this, judge = std::move(judge)](bool is_signed, asio::ssl::verify_context& about) {
        X509_STORE_CTX* const store = about.native_handle();
        if (!is_signed) certificate_trouble_ = certificate_trouble(*store);
        if (!is_signed || X509_STORE_CTX_get_error_depth(store) != 0) return is_signed;
        auto caller = caller_of(*X509_STORE_CTX_get_current_cert(store));
        Status verdict = caller ? Status{} : std::unexpected(caller.error());
        if (verdict && judge) verdict = judge(*caller);
        if (verdict) {
          peer_ = *std::move(caller);
          return true;
        }
        refusal_ = verdict.error().message;
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return false;
      },
      ignored);
}

Status Stream::end_handshake(Side side, const asio::error_code& problem) {
  if (!problem) return {};
  peer_.reset();
  if (side == Side::kServer && speaks_no_tls(problem)) tell_that_this_is_tls();
  if (!refusal_.empty()) return fail(ErrorCode::kPermissionDenied, Effect::kNone, refusal_);
  return fail(ErrorCode::kUnavailable, Effect::kNone,
              certificate_trouble_.empty() ? reason_of(problem) : certificate_trouble_);
}

// OpenSSL says nothing to a plain client. An alert (fatal, protocol_version) lets ours know what it met, and the call
// that it sent was not read; whether it arrives matters to nothing else.
void Stream::tell_that_this_is_tls() {
  static constexpr std::array<std::uint8_t, 7> kAlert = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46};
  asio::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.write_some(asio::buffer(kAlert), ignored);
}

void Stream::make_prompt() {
  asio::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void Stream::give_up_after(Duration silence) {
  using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  asio::error_code ignored;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(silence).count();
  socket_.set_option(UserTimeout(static_cast<int>(ms)), ignored);
}

void Stream::probe_after(Duration silence) {
  using Idle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using Interval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  using Count = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  asio::error_code ignored;
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(silence).count());
  socket_.set_option(Idle(static_cast<int>(seconds)), ignored);
  socket_.set_option(Interval(1), ignored);
  socket_.set_option(Count(3), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
}

void Stream::close() {
  asio::error_code ignored;
  socket_.close(ignored);
}

// TLS's own word for the end is left out: it cannot follow what the peer has sent meanwhile.
void Stream::end_writing() {
  asio::error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

}  // namespace troth::rpc
