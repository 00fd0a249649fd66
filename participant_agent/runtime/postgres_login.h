// participant_agent/runtime/postgres_login.h
//
// How a session of Postgres is opened, stopped and broken off.
#pragma once

#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <string>

#include <libpq-fe.h>

#include "participant_agent/runtime/cancellation.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

// Opens once: libpqxx asks its policy for a connection whenever it finds none.
class OpensOnce final : public pqxx::connectionpolicy {
 public:
  explicit OpensOnce(const std::string& options) : connectionpolicy(options) {}

  handle do_startconnect(handle original) override {
    if (original != nullptr) return original;
    if (opened_ != nullptr) throw pqxx::broken_connection("the session was lost");
    opened_ = normalconnect(original);
    return opened_;
  }

  [[nodiscard]] handle opened() const { return opened_; }

 private:
  handle opened_ = nullptr;
};

// A libpqxx connection that is never opened again.
class PinnedConnection final : public pqxx::connection_base {
 public:
  explicit PinnedConnection(const std::string& options) : connection_base(policy_), policy_(options) {
    init();
  }
  ~PinnedConnection() { close(); }
  PinnedConnection(const PinnedConnection&) = delete;
  PinnedConnection& operator=(const PinnedConnection&) = delete;

  // libpq's connection; gone once libpqxx has let go of it.
  [[nodiscard]] PGconn* libpq() const { return policy_.opened(); }

 private:
  OpensOnce policy_;
};

class PostgresCancellation final : public Cancellation {
 public:
  explicit PostgresCancellation(PGconn* connection)
      : cancel_(PQgetCancel(connection), &PQfreeCancel), socket_(PQsocket(connection)) {}

  void interrupt() noexcept override;
  void break_off() noexcept override;
  // The socket's number is, or is about to become, somebody else's.
  void forget_socket();

 private:
  const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel_;
  std::mutex mutex_;
  int socket_;
};

// The password is in it.
[[nodiscard]] std::string connection_string(const ConnectOptions& options);

}  // namespace troth::agent
