#include "base/runtime/audit_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/durable_file.h"
#include "tests/support/temporary_directory.h"

namespace troth {
namespace {

TEST(AuditTrail, OnlyEverGrows) {
  const TemporaryDirectory directory;
  const auto path = directory.file("audit.log");
  const WallTime then{std::chrono::seconds(1'700'000'000)};
  ASSERT_TRUE(append_audit(path, then, "resolve", {{"operator", "alice"}, {"reason", "ticket 4711"}}));
  ASSERT_TRUE(append_audit(path, then, "take-over", {{"operator", "bob"}}));
  EXPECT_EQ(read_file(path, 4096),
            "time=2023-11-14T22:13:20Z action=resolve operator=alice reason=\"ticket 4711\"\n"
            "time=2023-11-14T22:13:20Z action=take-over operator=bob\n");
}

TEST(AuditTrail, WhatCannotBeWrittenDownIsRefused) {
  const auto written = append_audit("/nonexistent/audit.log", WallTime{}, "resolve", {});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().effect, Effect::kNone);
  EXPECT_THAT(written.error().message, testing::HasSubstr("/nonexistent/audit.log"));
}

}  // namespace
}  // namespace troth
