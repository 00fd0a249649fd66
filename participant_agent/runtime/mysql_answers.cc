#include "participant_agent/runtime/mysql_answers.h"

#include <memory>
#include <optional>

#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace troth::agent {

Answers::Answers(sql::Statement& statement, const Texts& texts)
    : statement_(statement), text_(fmt::format("{}", fmt::join(texts, "; "))) {}

TextRows Answers::next() {
  has_rows_ = is_sent_ ? statement_.getMoreResults() : statement_.execute(text_);
  is_sent_ = true;
  TextRows read;
  if (!has_rows_) return read;
  const std::unique_ptr<sql::ResultSet> rows(statement_.getResultSet());
  const unsigned columns = rows->getMetaData()->getColumnCount();
  while (rows->next()) {
    TextRow& row = read.emplace_back();
    for (unsigned column = 1; column <= columns; ++column)
      row.push_back(rows->isNull(column) ? std::nullopt
                                         : std::optional(std::string(rows->getString(column))));
  }
  return read;
}

void Answers::skip(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    static_cast<void>(next());
}

}  // namespace troth::agent
