#include "base/log_json.h"

#include <limits>

#include <gtest/gtest.h>

namespace troth {
namespace {

std::string line_of(std::initializer_list<LogField> fields) {
  std::string line;
  for (const auto& field : fields)
    append_json(line, field);
  return line;
}

TEST(LogJson, WritesEachTypeInItsOwnWay) {
  EXPECT_EQ(line_of({{"agent", AgentId{"pg-1"}}, {"count", -3}, {"ratio", 0.5}, {"ok", true}}),
            R"("agent":"pg-1","count":-3,"ratio":0.5,"ok":true)");
}

TEST(LogJson, EscapesWhatWouldEndTheTextOrTheLine) {
  EXPECT_EQ(line_of({{"text", "a\"b\\c\nd\x1b\x7f"}}), R"("text":"a\"b\\c\nd\u001b\u007f")");
}

TEST(LogJson, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(line_of({{"text", "\xc3\xa4\xf0\x9f\x98\x80"}}), "\"text\":\"\xc3\xa4\xf0\x9f\x98\x80\"");
  EXPECT_EQ(line_of({{"text", "a\xff\xc3z\xed\xa0\x80"}}), R"("text":"a\ufffd\ufffdz\ufffd\ufffd\ufffd")");
}

TEST(LogJson, NumbersThatJsonHasNoWordForAreNull) {
  EXPECT_EQ(line_of({{"a", std::numeric_limits<double>::infinity()}}), R"("a":null)");
}

}  // namespace
}  // namespace troth
