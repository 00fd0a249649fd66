// thrift/runtime/tls.h
//
// Mutual TLS of one process: its certificate, its key, and the CA whose certificates it takes. Both sides of every
// connection show one, of TLS 1.3 or 1.2; sessions are never resumed, so that each connection is judged by the
// certificates of now.
//
// The files are read at load() and at reload(); connections made after a reload() use what it read, those that
// exist go on. A reload() that fails leaves everything as it was.
//
// Threads: load() anywhere; everything else on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <asio/ssl/context.hpp>

#include "base/result.h"
#include "base/time.h"
#include "thrift/caller.h"
#include "thrift/runtime/tls_files.h"

namespace troth::rpc {

// Judges a peer by the name in its certificate, while the handshake runs.
using JudgeCaller = std::function<Status(const Caller& peer)>;

class Tls {
 public:
  // Fails (invalid_argument, effect none) when a file cannot be read, does not fit the others, or names no caller; when
  // the certificate is not valid now, or not of the CA.
  [[nodiscard]] static Result<std::shared_ptr<Tls>> load(TlsFiles files);
  // The same, and refuses a certificate of another role.
  [[nodiscard]] static Result<std::shared_ptr<Tls>> load(TlsFiles files, Role role);
  // Reads the files again. Refuses another caller than before: that needs a restart.
  [[nodiscard]] Status reload();

  [[nodiscard]] const Caller& own() const { return own_; }
  [[nodiscard]] WallTime expires() const { return expires_; }
  [[nodiscard]] const std::shared_ptr<asio::ssl::context>& context() const { return context_; }
  [[nodiscard]] const TlsFiles& files() const { return files_; }

 private:
  explicit Tls(TlsFiles files) : files_(std::move(files)) {}
  [[nodiscard]] Status read();

  TlsFiles files_;
  std::shared_ptr<asio::ssl::context> context_;
  Caller own_;
  WallTime expires_;
};

using TlsPointer = std::shared_ptr<const Tls>;

// What a process without TLS says to an address that is not its own machine's. `what`: the address as configured.
[[nodiscard]] std::unexpected<Error> refuse_without_tls(std::string_view what);

}  // namespace troth::rpc
