// participant_agent/runtime/mysql_answers.h
//
// A text of several statements, sent at once, and its answers, one for each statement, up to the first error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>

#include <mysql.h>

#include "participant_agent/dialect/database_error.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/mysql_packets.h"

namespace troth::agent {

struct MysqlAnswer {
  TextRows rows;
  bool has_rows = false;
  std::uint64_t changed = 0;  // rows, where it has none
  std::uint64_t key = 0;      // of an INSERT; 0: none
  // MySQL, with `session_track_state_change`: the statement, or what it called, set something in the session.
  bool changed_session = false;
};

class MysqlAnswers {
 public:
  MysqlAnswers(MYSQL& connection, DatabaseKind kind) : connection_(connection), kind_(kind) {}

  // All answers to what was sent before have been read. What goes wrong is told by the next `next`.
  void send(const Texts& texts);
  // Waits. Behind an error there is no other.
  [[nodiscard]] std::expected<MysqlAnswer, DatabaseError> next();
  [[nodiscard]] std::size_t left() const { return left_; }
  [[nodiscard]] std::size_t read() const { return sent_ - left_; }

  // -- For an event loop. Only for TCP without TLS: nobody sees what is encrypted, and a Unix socket always has the input
  // that nobody has read.

  // To be sent next: the socket has no input before about as much has come as for so many texts last time, so that nobody
  // is woken for each answer. What is shorter, as an error is, must be looked for: see arrives_unseen().
  void expect_the_usual(std::size_t texts);
  // Does not wait, and reads nothing: of the first answers to a text, as they lie in the socket. Until all have come, the
  // socket has input only when more has come than lies there, or its end.
  [[nodiscard]] ArrivedAnswers arrived();
  [[nodiscard]] bool arrives_unseen() const { return looks_left_ > 0; }

 private:
  [[nodiscard]] std::unexpected<DatabaseError> failed(DatabaseError error);
  [[nodiscard]] bool told_of_a_change() const;
  [[nodiscard]] int socket() const { return mysql_get_socket(&connection_); }
  void wait_for_octets(std::size_t octets);

  MYSQL& connection_;
  const DatabaseKind kind_;
  std::size_t sent_ = 0;
  std::size_t left_ = 0;
  std::optional<DatabaseError> not_sent_;
  // In octets: what lay in the socket last, from how many on it has input, and how many came last time for so many texts.
  std::size_t seen_ = 0;
  std::size_t least_ = 1;
  std::map<std::size_t, std::size_t> usual_;
  int looks_left_ = 0;
};

}  // namespace troth::agent
