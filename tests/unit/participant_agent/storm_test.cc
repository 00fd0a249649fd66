// Random storms over the agent's machines, a model database and a model leader.
#include <gtest/gtest.h>

#include "tests/unit/participant_agent/storm_world.h"

namespace troth::agent {
namespace {

// Attacks 2, 4, 10, 39 and 51, in whatever mixture a seed brings.
TEST(Storm, BreaksNoRuleAndComesToAnEnd) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    StormWorld world(seed);
    const std::string problem = world.play(400);
    ASSERT_EQ(problem, "") << "seed " << seed;
    for (const auto& [what, count] : world.seen())
      seen[what] += count;
  }
  for (const char* rare : {"zombie went on", "session lost", "answer of the work lost", "hostage",
                           "barrier had to wait", "answer lost", "restart"}) {
    EXPECT_GT(seen[rare], 0) << rare << " never happened";
  }
}

TEST(Storm, ASeedPlayedTwiceTellsTheSameStory) {
  StormWorld first(77);
  StormWorld second(77);
  EXPECT_EQ(first.play(400), second.play(400));
  EXPECT_EQ(first.seen(), second.seen());
}

}  // namespace
}  // namespace troth::agent
