#include "tests/support/test_ca.h"

#include <atomic>
#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/check.h"

namespace troth::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<FILE, decltype(&std::fclose)>;

Key new_key() {
  return {EVP_EC_gen("P-256"), &EVP_PKEY_free};
}

void add_entry(X509_NAME* name, const char* kind, const std::string& value) {
  if (value.empty()) return;
  CHECK(X509_NAME_add_entry_by_txt(name, kind, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0) == 1);
}

Certificate new_certificate(EVP_PKEY* key, const Subject& subject, long serial) {
  Certificate certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), subject.valid_from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), subject.valid_to.count());
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  add_entry(name, "OU", subject.unit);
  add_entry(name, "CN", subject.name);
  return certificate;
}

void write_pem(const std::string& path, const X509* certificate) {
  const File file(std::fopen(path.c_str(), "w"), &std::fclose);
  CHECK(file != nullptr && PEM_write_X509(file.get(), certificate) == 1);
}

void write_pem(const std::string& path, const EVP_PKEY* key) {
  const File file(std::fopen(path.c_str(), "w"), &std::fclose);
  CHECK(file != nullptr && ::fchmod(::fileno(file.get()), 0600) == 0);
  CHECK(PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
}

// Two CAs of one name would be told apart by their signatures only, and the message would be another.
std::string unused_name() {
  static std::atomic<int> last = 0;
  return fmt::format("test CA {}", ++last);
}

}  // namespace

struct TestCa::Keys {
  Key key = new_key();
  Certificate certificate = new_certificate(key.get(), {.unit = "", .name = unused_name()}, 1);
};

TestCa::TestCa() : keys_(std::make_unique<Keys>()) {
  X509* own = keys_->certificate.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
  X509_add_ext(own, extension, -1);
  X509_EXTENSION_free(extension);
  CHECK(X509_sign(own, keys_->key.get(), EVP_sha256()) > 0);
  write_pem(ca_file(), own);
}

TestCa::~TestCa() = default;

rpc::TlsFiles TestCa::issue(const Subject& subject) {
  ++issued_;
  const rpc::TlsFiles files{ca_file(), directory_.file(fmt::format("{}.pem", issued_)),
                            directory_.file(fmt::format("{}.key", issued_))};
  renew(files, subject);
  return files;
}

void TestCa::renew(const rpc::TlsFiles& files, const Subject& subject) {
  const Key key = new_key();
  const Certificate certificate = new_certificate(key.get(), subject, 100 + issued_);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(keys_->certificate.get()));
  CHECK(X509_sign(certificate.get(), keys_->key.get(), EVP_sha256()) > 0);
  write_pem(files.certificate, certificate.get());
  write_pem(files.key, key.get());
}

std::shared_ptr<rpc::Tls> TestCa::tls(const Subject& subject) {
  auto tls = rpc::Tls::load(issue(subject));
  CHECK(tls, "{}", tls.error().message);
  return *std::move(tls);
}

}  // namespace troth::test
