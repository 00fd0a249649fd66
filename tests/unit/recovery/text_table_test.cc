#include "recovery/text_table.h"

#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

TEST(TextTable, AlignsColumnsByCharactersNotBytes) {
  TextTable table({"id", "name"});
  table.add({"1", "Žofie"});
  table.add({"22", "x"});
  EXPECT_EQ(table.text("  "),
            "  id | name\n"
            "  ---+------\n"
            "  1  | Žofie\n"
            "  22 | x\n");
}

TEST(TextTable, ShowsControlCharactersInsteadOfObeyingThem) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\td"), "a\\x1b[2Jb\\nc\\td");
}

TEST(TextTable, CountsAndAgesReadLikeLanguage) {
  EXPECT_EQ(counted(1, "row"), "1 row");
  EXPECT_EQ(counted(0, "row"), "0 rows");
  EXPECT_EQ(age_text(999), "999 ms");
  EXPECT_EQ(age_text(61'000), "61 s");
  EXPECT_EQ(age_text(3'600'000), "60 min");
  EXPECT_EQ(age_text(200'000'000), "2 d");
}

}  // namespace
}  // namespace troth::recovery
