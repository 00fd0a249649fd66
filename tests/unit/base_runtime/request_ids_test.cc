#include "base/runtime/request_ids.h"

#include <set>

#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"

namespace troth {
namespace {

TEST(RequestIds, CarryTheirMillisecondAndParseAsVersionSeven) {
  const WallTime now{std::chrono::milliseconds(1'732'370'000'123) + std::chrono::microseconds(999)};
  const auto id = new_request_id(now);
  EXPECT_EQ(id.unix_ms(), 1'732'370'000'123u);
  const auto parsed = RequestId::parse(id.text());
  ASSERT_TRUE(parsed) << id.text();
  EXPECT_EQ(*parsed, id);
}

TEST(RequestIds, AreDistinctWithinOneMillisecond) {
  std::set<RequestId> ids;
  for (int i = 0; i < 1000; ++i)
    ids.insert(new_request_id(WallTime{}));
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(Entropy, TextUsesItsWholeAlphabetAndNothingElse) {
  const auto text = random_text(2000, "abc");
  EXPECT_EQ(std::set<char>(text.begin(), text.end()), (std::set<char>{'a', 'b', 'c'}));
  EXPECT_NE(random_nonce(), random_nonce());
}

TEST(Clock, NeitherClockRunsBackHere) {
  const auto instant = boot_now();
  EXPECT_LE(instant, boot_now());
  EXPECT_GT(wall_now(), WallTime{std::chrono::years(50)});
}

}  // namespace
}  // namespace troth
