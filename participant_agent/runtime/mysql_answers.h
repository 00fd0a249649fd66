// participant_agent/runtime/mysql_answers.h
//
// The answers to a text of several statements, walked by their number: the driver's "no more results" cannot be told from
// a statement without rows.
#pragma once

#include <string>

#include "participant_agent/dialect/dialect.h"

namespace sql {
class Statement;
}  // namespace sql

namespace troth::agent {

class Answers {
 public:
  // Sent with the first `next`.
  Answers(sql::Statement& statement, const Texts& texts);

  // The rows of the next text; throws what the driver throws, and then there is no other.
  [[nodiscard]] TextRows next();
  void skip(std::size_t count);
  // Of the last `next`.
  [[nodiscard]] bool has_rows() const { return has_rows_; }

 private:
  sql::Statement& statement_;
  const std::string text_;
  bool is_sent_ = false;
  bool has_rows_ = false;
};

}  // namespace troth::agent
