#include "base/runtime/secret.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace troth {
namespace {

using testing::HasSubstr;

TEST(Secret, IsTheFirstLineOfItsFile) {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("pw")) << "hunter2\r\nnot this\n";
  EXPECT_EQ(read_secret({.file = directory.file("pw"), .environment = {}}), "hunter2");
}

TEST(Secret, ComesFromTheEnvironmentWhenNamed) {
  ::setenv("TROTH_TEST_SECRET", "hunter3", 1);
  EXPECT_EQ(read_secret({.file = {}, .environment = "TROTH_TEST_SECRET"}), "hunter3");
  ::unsetenv("TROTH_TEST_SECRET");
  const auto missing = read_secret({.file = {}, .environment = "TROTH_TEST_SECRET"});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("TROTH_TEST_SECRET is not set"));
}

TEST(Secret, AMissingOrEmptyFileIsNamed) {
  const TemporaryDirectory directory;
  const auto missing = read_secret({.file = directory.file("pw"), .environment = {}});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr(directory.file("pw")));
  std::ofstream(directory.file("empty")) << "\n";
  const auto empty = read_secret({.file = directory.file("empty"), .environment = {}});
  ASSERT_FALSE(empty);
  EXPECT_THAT(empty.error().message, HasSubstr("is empty"));
}

TEST(Secret, NoSourceMeansNoSecret) {
  EXPECT_EQ(read_secret({}), "");
}

}  // namespace
}  // namespace troth
