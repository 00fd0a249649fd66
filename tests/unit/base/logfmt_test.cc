#include "base/logfmt.h"

#include <gtest/gtest.h>

namespace troth {
namespace {

std::string line_of(std::initializer_list<LogField> fields) {
  std::string line;
  for (const auto& field : fields)
    append_logfmt(line, field);
  return line;
}

TEST(Logfmt, WritesEachTypeInItsOwnWay) {
  EXPECT_EQ(line_of({{"agent", AgentId{"pg-1"}}, {"count", 3}, {"free", std::uint64_t{7}}, {"ok", true}}),
            "agent=pg-1 count=3 free=7 ok=true");
}

TEST(Logfmt, QuotesWhatWouldBreakTheLine) {
  EXPECT_EQ(line_of({{"msg", "two words"}, {"empty", ""}, {"sql", "a=\"b\""}}),
            R"(msg="two words" empty="" sql="a=\"b\"")");
}

TEST(Logfmt, KeepsOneEventOnOneLineWhateverAClientSent) {
  EXPECT_EQ(line_of({{"text", "a\nlevel=error\x1b[0m"}}), R"(text="a\nlevel=error\x1b[0m")");
}

}  // namespace
}  // namespace troth
