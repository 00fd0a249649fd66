#include "base/nearest_name.h"

#include <vector>

#include <gtest/gtest.h>

namespace troth {
namespace {

TEST(NearestName, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "port"), 4u);
  EXPECT_EQ(edit_distance("port", "prot"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(NearestName, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"listen", "prepare_timeout_ms", "resource"};
  EXPECT_EQ(nearest_name("prepare_timout", names), "prepare_timeout_ms");
  EXPECT_EQ(nearest_name("lisetn", names), "listen");
}

TEST(NearestName, KeepsSilentWhenNothingIsNear) {
  const std::vector<std::string> names = {"listen", "resource"};
  EXPECT_EQ(nearest_name("colour", names), std::nullopt);
  EXPECT_EQ(nearest_name("x", {}), std::nullopt);
}

}  // namespace
}  // namespace troth
