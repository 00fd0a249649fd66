#include "base/runtime/digest.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace troth {

Digest sha256(std::span<const std::byte> bytes) {
  Digest digest;
  unsigned int length = 0;
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), digest.bytes.data(), &length, EVP_sha256(), nullptr);
  CHECK(done == 1 && length == digest.bytes.size(), "OpenSSL has no SHA-256");
  return digest;
}

Digest sha256(std::string_view bytes) {
  return sha256(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace troth
