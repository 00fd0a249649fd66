#include "base/runtime/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/transaction_line.h"

namespace troth {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

TEST(Log, WritesOneLogfmtLinePerEventToStandardError) {
  testing::internal::CaptureStderr();
  start_log("troth-agent", {});
  log_info("agent registered", {{"agent", AgentId{"pg-1"}}, {"resources", 2}});
  log_debug("not wanted");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("time=....-..-..T..:..:..\\.[0-9]+Z level=info program=troth-agent "
                           "msg=\"agent registered\" agent=pg-1 resources=2\n"));
}

TEST(Log, WritesOneJsonObjectPerEvent) {
  testing::internal::CaptureStderr();
  start_log("troth-agent", {.format = LogFormat::kJson});
  log_info("agent registered", {{"agent", AgentId{"pg-1"}}, {"resources", 2}});
  start_log("troth-agent", {});
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      MatchesRegex("\\{\"time\":\"....-..-..T..:..:..\\.[0-9]+Z\",\"level\":\"info\",\"program\":"
                   "\"troth-agent\",\"msg\":\"agent registered\",\"agent\":\"pg-1\",\"resources\":2\\}\n"));
}

TEST(Log, LevelsBelowTheChosenOneAreOff) {
  start_log("troth-agent", {.level = LogLevel::kWarning});
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_TRUE(log_enabled(LogLevel::kError));
}

TEST(Log, CountsWarningsAndErrorsAndWhatALimitHeldBack) {
  start_log("troth-agent", {.lines_per_second = 2});
  const auto before = log_counts();
  testing::internal::CaptureStderr();
  LogLimit limit;
  for (int n = 0; n < 7; ++n)
    log_limited(limit, LogLevel::kWarning, "client trouble", {{"n", n}});
  log_error("the end");
  const auto written = testing::internal::GetCapturedStderr();
  EXPECT_THAT(written, AllOf(HasSubstr("n=0"), HasSubstr("n=1"), Not(HasSubstr("n=2\n"))));
  const auto after = log_counts();
  // A second may pass in between: then some more go through.
  EXPECT_GE(after.held_back - before.held_back, 3U);
  EXPECT_EQ(after.warnings - before.warnings + after.held_back - before.held_back, 7U);
  EXPECT_EQ(after.errors - before.errors, 1U);
  start_log("troth-agent", {});
}

TEST(TransactionLine, NamesWhatIsKnownUnderTheSameKeysEverywhere) {
  start_log("troth-coordinator", {});
  testing::internal::CaptureStderr();
  log_transaction(nullptr, LogLevel::kInfo, "transaction aborted",
                  {.transaction = "bank-ahbd57.1.1", .client = "tellers", .label = "pay\nroll"},
                  {{"code", "timeout"}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("msg=\"transaction aborted\" transaction=bank-ahbd57.1.1 client=tellers "
                        "label=\"pay\\nroll\" code=timeout\n"));
}

}  // namespace
}  // namespace troth
