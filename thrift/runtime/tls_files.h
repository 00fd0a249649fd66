// thrift/runtime/tls_files.h
//
// Where a process' TLS comes from: three files, as its configuration names them.
#pragma once

#include <string>
#include <string_view>

namespace troth {
class Schema;
}

namespace troth::rpc {

struct TlsFiles {
  std::string ca;           // PEM: certificates, one or more, that a peer's must be signed by
  std::string certificate;  // PEM: our own, then intermediate ones
  std::string key;          // PEM, not encrypted
  [[nodiscard]] bool is_set() const { return !ca.empty() || !certificate.empty() || !key.empty(); }
};

// The section [tls] of a server's configuration.
void describe_tls(Schema& schema, TlsFiles& files);

// The problem of a key that names an address of another machine, in a configuration without TLS.
inline constexpr std::string_view kNeedsTls =
    "is not on this machine's loopback, and without TLS nothing else is listened on or called: set tls.ca, "
    "tls.certificate and tls.key";

}  // namespace troth::rpc
