#include "thrift/runtime/certificate.h"

#include <chrono>
#include <ctime>
#include <memory>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace troth::rpc {
namespace {

// Every value of one kind in the subject, as UTF-8. A value that is not text comes out empty, and fits nothing.
std::vector<std::string> entries_of(const X509& certificate, int kind) {
  std::vector<std::string> values;
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  for (int at = X509_NAME_get_index_by_NID(subject, kind, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, kind, at)) {
    unsigned char* text = nullptr;
    const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    auto& value = values.emplace_back();
    for (int i = 0; i < length; ++i)
      value += static_cast<char>(text[i]);
    OPENSSL_free(text);
  }
  return values;
}

std::string text_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", parts);
}

std::string subject_of(const X509& certificate) {
  char text[256];
  X509_NAME_oneline(X509_get_subject_name(&certificate), text, sizeof(text));
  return text;
}

}  // namespace

Result<Caller> caller_of(const X509& certificate) {
  return caller_of(entries_of(certificate, NID_organizationalUnitName),
                   entries_of(certificate, NID_commonName));
}

WallTime expiry_of(const X509& certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &parts) != 1) return {};
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::from_time_t(::timegm(&parts)));
}

std::string certificate_trouble(const X509_STORE_CTX& check) {
  const int code = X509_STORE_CTX_get_error(&check);
  const X509* certificate = X509_STORE_CTX_get_current_cert(&check);
  if (certificate == nullptr) return X509_verify_cert_error_string(code);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("the certificate of {} expired on {}", subject_of(*certificate),
                         text_of(X509_get0_notAfter(certificate)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("the certificate of {} is valid from {} only", subject_of(*certificate),
                         text_of(X509_get0_notBefore(certificate)));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return fmt::format("the certificate of {} is not signed by the configured CA",
                         subject_of(*certificate));
    default:
      return fmt::format("the certificate of {}: {}", subject_of(*certificate),
                         X509_verify_cert_error_string(code));
  }
}

Status check_own_certificate(SSL_CTX& context) {
  X509* own = SSL_CTX_get0_certificate(&context);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(&context, static_cast<void*>(&chain));
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(X509_STORE_CTX_new(),
                                                                              &X509_STORE_CTX_free);
  X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(&context), own, chain);
  X509_STORE_CTX_set_flags(check.get(), X509_V_FLAG_PARTIAL_CHAIN);
  if (X509_verify_cert(check.get()) == 1) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, certificate_trouble(*check));
}

}  // namespace troth::rpc
