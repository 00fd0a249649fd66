#include "recovery/text_table.h"

#include <gtest/gtest.h>

#include "recovery/display_width.h"

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

TEST(TextTable, AlignsWideCharactersByTheColumnsThatTheyTake) {
  TextTable table({"name", "n"});
  table.align_right(1);
  table.add({"東京", "1"});
  table.add({"e\u0301", "22"});
  table.add({"🙂!", "333"});
  EXPECT_EQ(table.text(),
            "name |   n\n"
            "-----+----\n"
            "東京 |   1\n"
            "e\u0301    |  22\n"
            "🙂!  | 333\n");
}

TEST(TextTable, CutsTheWidestColumnsToFitAndMarksIt) {
  TextTable table({"id", "note", "more"});
  table.add({"1", "0123456789abcdefghij", "0123456789"});
  EXPECT_EQ(table.text("", 30),
            "id | note         | more\n"
            "---+--------------+-----------\n"
            "1  | 0123456789a… | 0123456789\n");
  // Without a limit nothing is cut.
  EXPECT_NE(table.text().find("abcdefghij | 0123456789\n"), std::string::npos);
  // And something of each column stays, however narrow the screen.
  EXPECT_NE(table.text("", 3).find("1  | 0123456… | 0123456…\n"), std::string::npos);
}

TEST(TextTable, ExpandsRowsIntoOneLineForEachValue) {
  TextTable table({"id", "note"});
  table.add({"1", "0123456789abcdefghij"});
  table.add({"2", "NULL"});
  EXPECT_EQ(table.expanded(7, 18),
            "-[ row 7 ]\n"
            "id   | 1\n"
            "note | 0123456789…\n"
            "-[ row 8 ]\n"
            "id   | 2\n"
            "note | NULL\n");
  EXPECT_NE(table.expanded().find("abcdefghij\n"), std::string::npos);
}

TEST(DisplayWidth, CutsAtCharactersAndNeverInsideOne) {
  EXPECT_EQ(display_width("東京"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\xff\xfe"), 2);
  EXPECT_EQ(cut_to_width("東京都", 6), "東京都");
  EXPECT_EQ(cut_to_width("東京都", 5), "東京…");
  EXPECT_EQ(cut_to_width("東京都", 4), "東…");
  EXPECT_EQ(cut_to_width("東京都", 1), "…");
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abcd", 3), "ab…");
}

TEST(TextTable, ShowsWhatTurnsTheWritingAndWhatIsNoText) {
  EXPECT_EQ(printable("a\u202eb\u0085c\u2028"), "a\\u202eb\\u0085c\\u2028");
  EXPECT_EQ(printable("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(printable("Žofie 東京"), "Žofie 東京");
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
