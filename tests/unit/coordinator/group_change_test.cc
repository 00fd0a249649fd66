// A change of the group comes into effect whoever leads by then, and when nobody asks for anything.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/group_on_disks.h"

namespace troth::coordinator::store {
namespace {

// Nobody could change the group again, until enough was decided: the next leader has to fill the window, as the first would have.
TEST(GroupChange, TheNextLeaderBringsItIntoEffect) {
  GroupOnDisks group(3);
  const auto first = group.leader();
  auto next = consensus::with_majorities({{1}, {2}, {3}});
  next.learners = {{4}};
  Status told;
  bool is_told = false;
  group.store(first).change(next, [&](const Status& outcome) {
    told = outcome;
    is_told = true;
  });
  // It is chosen, and nothing behind it goes out.
  ASSERT_TRUE(group.run_until([&] { return group.store(first).log().membership().newest() == next; }));
  ASSERT_FALSE(is_told);
  group.isolate(first);
  const auto cut = group.now();
  ASSERT_TRUE(group.run_until([&] { return is_told; }));
  ASSERT_FALSE(told.has_value());
  EXPECT_EQ(told.error().effect, Effect::kUnknown);
  ASSERT_TRUE(group.run_until([&] {
    const auto leader = group.leader();
    if (leader.value == 0 || leader == first) return false;
    const auto& log = group.store(leader).log();
    return log.membership().newest() == next && log.membership().is_settled(log.chosen());
  }));
  EXPECT_LT(group.now() - cut, std::chrono::seconds(20)) << "not by what an idle leader proposes each second";
}

}  // namespace
}  // namespace troth::coordinator::store
