#include "bench/runtime/stage.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace troth::bench {
namespace {

using testing::HasSubstr;

class StageFile : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_.file(name)) << text;
  }

  [[nodiscard]] std::string database(const std::string& name) const {
    return R"({"host": "127.0.0.1", "port": 23001, "database": "bank", "user": ")" + name +
           R"(", "password_file": ")" + directory_.file("password") + R"("})";
  }

  void write_stage(const std::string& more) const {
    write("stage.json", R"({"databases": "postgres+mysql", "accounts": 100, "postgres": )" + database("a") +
                            R"(, "mysql": )" + database("b") +
                            R"(, "processes": [{"name": "postgres", "pid": 12}])" + more + "}");
  }

  [[nodiscard]] Result<Stage> read() const { return read_stage(directory_.file("stage.json")); }

  TemporaryDirectory directory_;
};

TEST_F(StageFile, NamesServersAndReadsPasswordsFromTheirOwnFiles) {
  write("password", "secret\n");
  write_stage("");
  const auto stage = read();
  ASSERT_TRUE(stage) << stage.error().message;
  EXPECT_EQ(stage->databases, "postgres+mysql");
  EXPECT_EQ(stage->accounts, 100);
  EXPECT_EQ(stage->postgres.user, "a");
  EXPECT_EQ(stage->mysql.user, "b");
  EXPECT_EQ(stage->mysql.port, 23001);
  EXPECT_EQ(stage->mysql.password, "secret");
  ASSERT_EQ(stage->processes.size(), 1U);
  EXPECT_EQ(stage->processes.front().pid, 12);
  EXPECT_FALSE(stage->troth);
}

TEST_F(StageFile, NamesTrothWhereItRuns) {
  write("password", "secret");
  write_stage(
      R"(, "troth": {"host": "127.0.0.1", "port": 7, "postgres_resource": "x", "mysql_resource": "y"})");
  const auto stage = read();
  ASSERT_TRUE(stage) << stage.error().message;
  ASSERT_TRUE(stage->troth);
  EXPECT_EQ(stage->troth->port, 7);
  EXPECT_EQ(stage->troth->mysql_resource, "y");
}

TEST_F(StageFile, IsRefusedByItsNameWhereItIsMissingOrSomethingElse) {
  EXPECT_THAT(read().error().message, HasSubstr("cannot read " + directory_.file("stage.json")));
  for (const auto* text : {"", "{", "[]", R"({"databases": 1})"}) {
    write("stage.json", text);
    const auto stage = read();
    ASSERT_FALSE(stage) << text;
    EXPECT_THAT(stage.error().message, HasSubstr("stage.json"));
  }
}

TEST_F(StageFile, IsRefusedWhereAPasswordFileIsMissing) {
  write_stage("");
  EXPECT_THAT(read().error().message, HasSubstr("cannot read " + directory_.file("password")));
}

}  // namespace
}  // namespace troth::bench
