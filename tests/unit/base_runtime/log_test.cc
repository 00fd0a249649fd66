#include "base/runtime/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth {
namespace {

TEST(Log, WritesOneLogfmtLinePerEventToStandardError) {
  testing::internal::CaptureStderr();
  start_log("troth-agent", LogLevel::kInfo);
  log_info("agent registered", {{"agent", AgentId{"pg-1"}}, {"resources", 2}});
  log_debug("not wanted");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("time=....-..-..T..:..:..\\.[0-9]+Z level=info program=troth-agent "
                                    "msg=\"agent registered\" agent=pg-1 resources=2\n"));
}

TEST(Log, LevelsBelowTheChosenOneAreOff) {
  start_log("troth-agent", LogLevel::kWarning);
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_TRUE(log_enabled(LogLevel::kError));
}

}  // namespace
}  // namespace troth
