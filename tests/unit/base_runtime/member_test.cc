// Which replica of which group a coordinator's data directory belongs to, for ever.
#include <filesystem>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/runtime/data_directory.h"
#include "tests/support/temporary_directory.h"

namespace troth {
namespace {

using testing::HasSubstr;

constexpr const char* kGroup = "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms";

class MemberTest : public testing::Test {
 protected:
  void init() {
    const auto identity = DataDirectory::init(path_, OwnerKind::kCoordinator, "bank");
    CHECK(identity.has_value(), "{}", identity.error().message);
  }
  void join() {
    const auto identity = DataDirectory::init_coordinator(path_, {"bank-x7k2p9"});
    CHECK(identity.has_value(), "{}", identity.error().message);
  }
  // Of a start with this configuration.
  Status start(std::uint32_t replica, const std::string& group) {
    auto directory = DataDirectory::open(path_, OwnerKind::kCoordinator);
    if (!directory) return std::unexpected(directory.error());
    return directory->record_member(replica, group);
  }
  [[nodiscard]] Identity identity() const {
    const auto read = read_identity(path_);
    CHECK(read.has_value(), "{}", read.error().message);
    return *read;
  }
  // Refused, and nothing is changed by it.
  void expect_refused(std::uint32_t replica, const std::string& group, const std::string& said) {
    const auto before = identity();
    const auto started = start(replica, group);
    ASSERT_FALSE(started) << said;
    EXPECT_EQ(started.error().code, ErrorCode::kNotOwner);
    EXPECT_EQ(started.error().effect, Effect::kNone);
    EXPECT_THAT(started.error().message, HasSubstr(path_));
    EXPECT_THAT(started.error().message, HasSubstr(said));
    EXPECT_EQ(identity(), before);
  }

  TemporaryDirectory temporary_;
  std::string path_ = temporary_.file("data");
};

TEST_F(MemberTest, TheFirstStartInAGroupIsRememberedAndTheNextOnesAreCompared) {
  init();
  ASSERT_TRUE(start(2, kGroup));
  EXPECT_EQ(identity().replica, 2U);
  EXPECT_EQ(identity().group, kGroup);
  EXPECT_TRUE(start(2, kGroup));
  expect_refused(3, kGroup,
                 "is the data directory of replica 2, and group.replica is 3: a replica's number is its "
                 "directory's for ever; check group.replica and data_directory");
  expect_refused(2, "replicas 1, 2: write 2, elect 2, read 2, lease 150 ms",
                 std::string("began with ") + kGroup +
                     ", and the configuration says replicas 1, 2: write 2, elect 2, read 2, lease 150 ms: "
                     "that never changes; set group.founders and its quorums as they were, and change the "
                     "group by `troth cluster`");
  expect_refused(0, "",
                 "is the data directory of a coordinator that belongs to a group of the cluster bank-");
  EXPECT_TRUE(start(2, kGroup)) << "a refusal changes nothing";
}

TEST_F(MemberTest, OneThatIsAloneStaysAlone) {
  init();
  ASSERT_TRUE(start(0, ""));
  EXPECT_EQ(identity().replica, 0U);
  std::filesystem::create_directory(path_ + "/log");
  EXPECT_TRUE(start(0, ""));
  expect_refused(
      1, kGroup,
      "holds the decision log of a coordinator that was alone, and group.replica is 1: make it the "
      "first of a group by `troth cluster init --from-local`, or configure another data_directory");
}

// Without a configuration of the group it would begin a second history of the same cluster.
TEST_F(MemberTest, OneThatIsMadeToJoinDoesNotBeginAlone) {
  join();
  EXPECT_EQ(identity().cluster.value, "bank-x7k2p9");
  EXPECT_EQ(identity().group, kToJoin);
  expect_refused(0, "",
                 "belongs to a group of the cluster bank-x7k2p9, and the configuration has no group: set "
                 "group.replica, or configure another data_directory");
  ASSERT_TRUE(start(3, kGroup));
  EXPECT_EQ(identity().replica, 3U);
  EXPECT_EQ(identity().group, kGroup);
  expect_refused(1, kGroup, "is the data directory of replica 3");
}

// A directory that lost its identity, and was given another one, say.
TEST_F(MemberTest, OneThatHoldsAGroupsLogDoesNotBeginAlone) {
  init();
  std::filesystem::create_directory(path_ + "/group");
  expect_refused(0, "", "holds the decision log of a replica of a group, and the configuration has no group");
}

TEST_F(MemberTest, InitOfAnotherCoordinatorRefusesWhatIsNoClusterAndWhatIsNotEmpty) {
  for (const auto* wrong : {"", "Bank-x7k2p9", "bank x7k2p9", "bank/x7k2p9", "bank-x7k2p9\ngroup to join"}) {
    const auto made = DataDirectory::init_coordinator(path_, {wrong});
    ASSERT_FALSE(made) << wrong;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument) << wrong;
    EXPECT_FALSE(std::filesystem::exists(path_)) << wrong;
  }
  const auto nowhere = DataDirectory::init_coordinator(temporary_.file("a/b"), {"bank-x7k2p9"});
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("cannot make the data directory"));
  join();
  const auto again = DataDirectory::init_coordinator(path_, {"bank-x7k2p9"});
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("is not empty (it holds 'identity')"));
  EXPECT_THAT(again.error().message, HasSubstr("name another"));
}

}  // namespace
}  // namespace troth
