// participant_agent/dialect/sql_comment.h
//
// What stands in front of a branch's texts, when its resource asks for that, so that the database's own views and
// logs name the transaction: /*transaction='bank-ahbd57.1.1',label='pay%20roll'*/
//
// In the form of sqlcommenter: keys in order, values percent-encoded. Everything but letters, digits, '-', '_',
// '.' and '~' is encoded, so that no value can close the comment, the quote, or be taken for a placeholder.
// In front, because views cut long texts at their end, and a text may end in a comment of its own.
#pragma once

#include <string>
#include <string_view>

namespace troth::agent {

// Which of them are wanted.
struct CommentParts {
  bool label = false;
  bool traceparent = false;
  bool transaction = false;
};

struct CommentValues {
  std::string_view label;
  std::string_view traceparent;
  std::string_view transaction;
};

// Empty when nothing is wanted, or nothing of it is known.
[[nodiscard]] std::string sql_comment(const CommentParts& parts, const CommentValues& values);

}  // namespace troth::agent
