#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troth::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

Comparison cell() {
  Summary handcoded;
  handcoded.tps = 400;
  handcoded.p50_ms = 2.5;
  handcoded.p99_ms = 6;
  handcoded.committed = 6000;
  handcoded.tps_of_rounds = {390, 400, 410};
  handcoded.cpu_per_transaction = {{"postgres", 0.5}, {"mysql", 1.25}};
  Summary troth;
  troth.tps = 500.04;
  troth.p50_ms = 2;
  troth.p99_ms = 5.12345;
  troth.committed = 7500;
  troth.conflicts = 3;
  troth.syncs_per_transaction = 0.125;
  troth.tps_of_rounds = {490, 500.04, 510};
  troth.cpu_per_transaction = {
      {"agent", 0.25}, {"agent 2", 0.125}, {"coordinator", 0.0625}, {"mysql", 1}, {"postgres", 0.5}};
  return {.databases = "postgres+mysql",
          .clients = 8,
          .acknowledgement = Acknowledgement::kDecided,
          .handcoded = handcoded,
          .troth = troth};
}

TEST(Report, AJsonLineHasExactlyTheFieldsThatProgramsExpectInTheirOrder) {
  EXPECT_EQ(
      json_line(cell()),
      R"({"bench":"transfer","databases":"postgres+mysql","clients":8,"acknowledge":"decided",)"
      R"("handcoded_tps":400.0,"troth_tps":500.0,"ratio":1.25,"handcoded_p50_ms":2.5,"p50_ms":2.0,)"
      R"("p50_ratio":0.8,"p99_ms":5.123,"syncs_per_transaction":0.125,"cpu_ms_per_transaction":0.4375})");
}

TEST(Report, AJsonLineIsOneLineThatParses) {
  const std::string line = json_line(cell());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(line).size(), 13U);
}

TEST(Report, TrothsOwnCpuIsTheCoordinatorAndEveryAgentAndNotTheDatabases) {
  EXPECT_DOUBLE_EQ(troth_cpu_ms(*cell().troth), 0.4375);
  EXPECT_DOUBLE_EQ(troth_cpu_ms(*cell().handcoded), 0);
}

TEST(Report, TheTableShowsRatiosAndTheFooterWhatTheyHide) {
  const std::string text = table({cell()});
  EXPECT_THAT(text, HasSubstr("1.25"));
  EXPECT_THAT(text, HasSubstr("0.80"));
  EXPECT_THAT(text, HasSubstr("8 clients, decided:\n"));
  EXPECT_THAT(text, HasSubstr("7500 committed, 3 conflicts retried; p99 5.12 ms; tx/s by round 490 500 510"));
  EXPECT_THAT(text, HasSubstr("CPU ms per transaction: mysql 1.250, postgres 0.500\n"));
}

TEST(Report, ASideThatWasNotMeasuredIsADashAndHasNoFooter) {
  Comparison one_side = cell();
  one_side.handcoded.reset();
  const std::string text = table({one_side});
  EXPECT_THAT(text, HasSubstr(" - "));
  EXPECT_THAT(text, Not(HasSubstr("hand-coded ")));
}

TEST(ReportDeathTest, AJsonLineOfOneSideIsADefect) {
  Comparison one_side = cell();
  one_side.troth.reset();
  EXPECT_DEATH((void)json_line(one_side), "both sides");
}

}  // namespace
}  // namespace troth::bench
