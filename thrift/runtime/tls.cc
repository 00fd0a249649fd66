#include "thrift/runtime/tls.h"

#include <utility>  // Asio 1.22 uses std::exchange without including it

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "base/runtime/log.h"
#include "base/settings.h"
#include "thrift/runtime/certificate.h"

namespace troth::rpc {
namespace {

// Of TLS 1.2; 1.3 has good ones only.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr int kLongestChain = 4;

std::unexpected<Error> unusable(std::string_view key, const std::string& path, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, fmt::format("{} {}: {}", key, path, why));
}

std::string reason_of(const asio::error_code& problem) {
  // A missing file is the common case, and OpenSSL's words for it are odd.
  return problem.message() == "no start line (PEM routines)" ? "it holds no PEM of that kind"
                                                             : problem.message();
}

Status check_readable(std::string_view key, const std::string& path) {
  if (path.empty()) return unusable(key, "", "is missing: TLS needs tls.ca, tls.certificate and tls.key");
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return unusable(key, path, std::generic_category().message(errno));
  return {};
}

void warn_of_open_key(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) == 0 && (about.st_mode & (S_IROTH | S_IWOTH)) != 0)
    log_warning("the private key is open to every account of this machine: chmod 600", {{"file", path}});
}

}  // namespace

void describe_tls(Schema& schema, TlsFiles& files) {
  schema.section("tls",
                 "Mutual TLS on every connection of Troth. All three, or none: without them only loopback is "
                 "listened on and called. Read again at SIGHUP.",
                 [&] {
                   schema.path(
                       "ca", files.ca, {},
                       "PEM: the CA certificates, one or more, that peers' certificates must be signed by.");
                   schema.path("certificate", files.certificate, {},
                               "PEM: this process' own certificate, then intermediate ones. Its subject "
                               "names it: OU=troth-coordinator "
                               "or OU=troth-agent, and a CN.");
                   schema.path("key", files.key, {},
                               "PEM: the private key of it, not encrypted; readable by this process only.");
                   const bool all = !files.ca.empty() && !files.certificate.empty() && !files.key.empty();
                   schema.require(all || !files.is_set(), "certificate",
                                  "give tls.ca, tls.certificate and tls.key, or none of them");
                 });
}

Result<std::shared_ptr<Tls>> Tls::load(TlsFiles files) {
  std::shared_ptr<Tls> tls(new Tls(std::move(files)));
  if (auto read = tls->read(); !read) return std::unexpected(std::move(read.error()));
  return tls;
}

Result<std::shared_ptr<Tls>> Tls::load(TlsFiles files, Role role) {
  auto tls = load(std::move(files));
  if (!tls || (*tls)->own().role == role) return tls;
  return unusable("tls.certificate", (*tls)->files().certificate,
                  fmt::format("it is {}'s, and this process needs one with OU=troth-{}", (*tls)->own().text(),
                              name_of(role)));
}

Status Tls::reload() {
  auto renewed = load(files_);
  if (!renewed) return std::unexpected(std::move(renewed.error()));
  if ((*renewed)->own_ != own_) {
    return unusable("tls.certificate", files_.certificate,
                    fmt::format("it is {}'s, and this process runs as {}: restart it to change that",
                                (*renewed)->own_.text(), own_.text()));
  }
  *this = std::move(**renewed);
  return {};
}

Status Tls::read() {
  const std::pair<std::string_view, const std::string&> named[] = {
      {"tls.ca", files_.ca}, {"tls.certificate", files_.certificate}, {"tls.key", files_.key}};
  for (const auto& [key, path] : named) {
    if (auto readable = check_readable(key, path); !readable) return readable;
  }
  asio::error_code problem;
  const auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, kCiphers);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_verify_depth(native, kLongestChain);
  // An intermediate CA may be the one that is trusted: a cluster's own, under a company's root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(native), X509_V_FLAG_PARTIAL_CHAIN);
  context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, problem);
  // An encrypted key is refused; nobody is asked for its passphrase.
  context->set_password_callback(
      [](std::size_t, asio::ssl::context::password_purpose) { return std::string(); }, problem);

  context->load_verify_file(files_.ca, problem);
  if (problem) return unusable("tls.ca", files_.ca, reason_of(problem));
  context->use_certificate_chain_file(files_.certificate, problem);
  if (problem) return unusable("tls.certificate", files_.certificate, reason_of(problem));
  context->use_private_key_file(files_.key, asio::ssl::context::pem, problem);
  if (problem) return unusable("tls.key", files_.key, reason_of(problem));
  const X509* const certificate = SSL_CTX_get0_certificate(native);
  auto own = caller_of(*certificate);
  if (!own) return unusable("tls.certificate", files_.certificate, own.error().message);
  if (const auto valid = check_own_certificate(*native); !valid)
    return unusable("tls.certificate", files_.certificate, valid.error().message);
  warn_of_open_key(files_.key);
  context_ = context;
  own_ = *std::move(own);
  expires_ = expiry_of(*certificate);
  return {};
}

std::unexpected<Error> refuse_without_tls(std::string_view what) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("{} {} (the tool: --tls-ca, --tls-certificate, --tls-key; for a trial "
                          "deploy/dev-ca.sh makes them)",
                          what, kNeedsTls));
}

}  // namespace troth::rpc
