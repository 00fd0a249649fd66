// What many seeds came to, as people and programs read it.
#include "tests/sim/tool/report.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/sim/tool/progress.h"
#include "tests/sim/tool/results.h"

namespace troth::sim {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;

Outcome outcome(std::uint64_t seed) {
  Outcome made;
  made.seed = seed;
  made.hash = seed * 7;
  made.virtual_time = std::chrono::minutes(30);
  made.transfers = 5;
  made.committed = 4;
  made.faults = {{"pause", seed}};
  made.rare = {{"a request was barred", 1}};
  return made;
}

nlohmann::json read(const Report& report) {
  const auto line =
      report.json("abc-dirty", std::chrono::system_clock::time_point(std::chrono::seconds(86'400)));
  EXPECT_EQ(line.find('\n'), std::string::npos);
  return nlohmann::json::parse(line);
}

TEST(Report, LineOfResultsHasWhatAddsUp) {
  Report report;
  report.add(outcome(11));
  auto failed = outcome(12);
  failed.broken = {"T3: \"told\"\nand done"};
  report.add(failed, "make sim SEED=12");
  const auto json = read(report);
  EXPECT_EQ(json["commit"], "abc-dirty");
  EXPECT_EQ(json["date"], "1970-01-02T00:00:00Z");
  EXPECT_EQ(json["from"], 11);
  EXPECT_EQ(json["seeds"], 2);
  EXPECT_EQ(json["virtual_hours"], 1.0);
  EXPECT_EQ(json["decisions"], 8);
  EXPECT_EQ(json["faults"]["pause"], 23);
  EXPECT_EQ(json["rare"]["a request was barred"], 2);
  ASSERT_EQ(json["failures"].size(), 1U);
  EXPECT_EQ(json["failures"][0]["seed"], 12);
  EXPECT_EQ(json["failures"][0]["broken"][0], "T3: \"told\"\nand done");
  EXPECT_EQ(json["failures"][0]["replay"], "make sim SEED=12");
}

TEST(Report, FailedSeedsAreToldAtTheEnd) {
  Report report;
  report.add(outcome(1));
  EXPECT_EQ(report.failures(), "");
  for (std::uint64_t seed = 2; seed <= 13; ++seed) {
    auto failed = outcome(seed);
    failed.broken = {"T3: told"};
    report.add(failed, fmt::format("make sim SEED={}", seed));
  }
  EXPECT_THAT(report.failures(),
              testing::StartsWith("failed: seed 2: T3: told\n  replay: make sim SEED=2\n"));
  EXPECT_THAT(report.failures(), testing::EndsWith("and 2 more\n"));
}

TEST(Report, HashIsOfEachSeed) {
  Report report;
  report.add(outcome(1));
  report.add(outcome(2));
  Report other;
  other.add(outcome(1));
  auto second = outcome(2);
  second.hash += 1;
  other.add(second);
  EXPECT_NE(read(report)["hash"], read(other)["hash"]);
}

TEST(Report, SituationsThatWereNotMetAreNamed) {
  Report report;
  report.add(outcome(1));
  EXPECT_EQ(report.met(), 1U);
  EXPECT_THAT(report.never_met(), testing::Not(testing::Contains("a request was barred")));
}

TEST(Results, LinesAreAppended) {
  const auto path = std::filesystem::path(testing::TempDir()) / "sim_results_test.jsonl";
  std::filesystem::remove(path);
  ASSERT_TRUE(append_result(path, "{1}"));
  ASSERT_TRUE(append_result(path, "{2}"));
  std::ifstream file(path);
  std::string first;
  std::string second;
  std::string third;
  std::getline(file, first);
  std::getline(file, second);
  EXPECT_EQ(first, "{1}");
  EXPECT_EQ(second, "{2}");
  EXPECT_FALSE(std::getline(file, third));
  std::filesystem::remove(path);
}

TEST(Results, FileThatCannotBeWrittenIsNamed) {
  const auto appended = append_result("/nowhere/at/all", "{}");
  ASSERT_FALSE(appended);
  EXPECT_THAT(appended.error().message, HasSubstr("/nowhere/at/all: No such file"));
}

TEST(Results, CommitIsOneOrItSaysSo) {
  EXPECT_THAT(std::string(built_from()), AnyOf("unknown", MatchesRegex("[0-9a-f]{12,40}(-dirty)?")));
}

TEST(Progress, SaysHowLongItWillTake) {
  const Progress progress(1'000'000, false);
  EXPECT_EQ(progress.text(10'000, 2, std::chrono::seconds(50)),
            "10000 of 1000000 seeds, 2 failed; 200 a second, 82 min left");
  EXPECT_EQ(progress.text(0, 0, std::chrono::seconds(1)), "0 of 1000000 seeds, 0 failed; 0 a second, ? left");
}

}  // namespace
}  // namespace troth::sim
