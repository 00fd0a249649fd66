// thrift/runtime/certificate.h
//
// What Troth reads in a certificate. OpenSSL's types stop here.
#pragma once

#include <string>

#include <openssl/types.h>

#include "base/result.h"
#include "base/time.h"
#include "thrift/caller.h"

namespace troth::rpc {

[[nodiscard]] Result<Caller> caller_of(const X509& certificate);

[[nodiscard]] WallTime expiry_of(const X509& certificate);

// Is it, with the chain and the trusted certificates of `context`, one that a peer would take now?
[[nodiscard]] Status check_own_certificate(SSL_CTX& context);

// Why the certificate that `check` looks at now was refused, in words for people.
[[nodiscard]] std::string certificate_trouble(const X509_STORE_CTX& check);

}  // namespace troth::rpc
