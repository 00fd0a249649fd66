#include "participant_agent/dialect/sql_comment.h"

#include <string>

#include <gtest/gtest.h>

namespace troth::agent {
namespace {

constexpr CommentParts kAll{.label = true, .traceparent = true, .transaction = true};

TEST(SqlComment, NamesWhatIsWantedInTheFormOfSqlcommenter) {
  const CommentValues values{.label = "pay roll",
                             .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             .transaction = "bank-ahbd57.1.1"};
  EXPECT_EQ(sql_comment(kAll, values),
            "/*label='pay%20roll',traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',"
            "transaction='bank-ahbd57.1.1'*/ ");
  EXPECT_EQ(sql_comment({.transaction = true}, values), "/*transaction='bank-ahbd57.1.1'*/ ");
  EXPECT_EQ(sql_comment({}, values), "");
}

TEST(SqlComment, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(sql_comment(kAll, {.label = "a"}), "/*label='a'*/ ");
  EXPECT_EQ(sql_comment(kAll, {}), "");
}

// Whatever a client writes into its label, it ends in the comment, and nothing behind it is affected.
TEST(SqlComment, NoByteOfALabelClosesTheCommentOrTheQuote) {
  std::string label = "*/ DROP TABLE account; /* ' \\' \" ` ? $1 :x -- # \n\r\t\\";
  for (int byte = 0; byte < 256; ++byte)
    label += static_cast<char>(byte);
  const auto comment = sql_comment(kAll, {.label = label});
  ASSERT_TRUE(comment.starts_with("/*label='"));
  ASSERT_TRUE(comment.ends_with("'*/ "));
  const auto inside = comment.substr(9, comment.size() - 9 - 4);
  EXPECT_EQ(inside.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%"),
            std::string::npos);
  EXPECT_TRUE(inside.starts_with("%2A%2F%20DROP%20TABLE"));
}

}  // namespace
}  // namespace troth::agent
