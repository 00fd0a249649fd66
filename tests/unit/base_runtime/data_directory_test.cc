#include "base/runtime/data_directory.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/runtime/durable_file.h"
#include "tests/support/temporary_directory.h"

namespace troth {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class DataDirectoryTest : public testing::Test {
 protected:
  Identity init(OwnerKind kind, std::string_view name = "bank") {
    auto identity = DataDirectory::init(path_, kind, name);
    CHECK(identity.has_value(), "{}", identity.error().message);
    return *identity;
  }
  [[nodiscard]] Error open_error(OwnerKind kind) const {
    auto opened = DataDirectory::open(path_, kind);
    CHECK(!opened.has_value());
    return opened.error();
  }

  TemporaryDirectory temporary_;
  std::string path_ = temporary_.file("data");
};

TEST_F(DataDirectoryTest, InitMakesAPrivateDirectoryWithANameOfItsOwn) {
  const auto identity = init(OwnerKind::kCoordinator);
  EXPECT_THAT(identity.cluster.value, MatchesRegex("bank-[a-z2-9]{6}"));
  struct stat found{};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  const auto opened = DataDirectory::open(path_, OwnerKind::kCoordinator);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->identity(), identity);
}

TEST_F(DataDirectoryTest, InitNeverReplacesAnything) {
  init(OwnerKind::kCoordinator);
  const auto again = DataDirectory::init(path_, OwnerKind::kCoordinator, "bank");
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("is not empty (it holds 'identity')"));
}

TEST_F(DataDirectoryTest, InitGoesOnWhereACrashCutItShort) {
  std::filesystem::create_directory(path_);
  std::ofstream(path_ + "/identity.new") << "half";
  init(OwnerKind::kAgent, "pg");
  EXPECT_TRUE(DataDirectory::open(path_, OwnerKind::kAgent));
}

TEST_F(DataDirectoryTest, NamesThatCouldNotStandInATransactionIdAreRefused) {
  for (const auto* name : {"", "Bank", "a.b", "thirteen-long", "-x", "a b"}) {
    const auto made = DataDirectory::init(path_, OwnerKind::kCoordinator, name);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(DataDirectoryTest, EachWayToBeWrongSaysWhatToDo) {
  EXPECT_THAT(open_error(OwnerKind::kAgent).message, HasSubstr("make it with `troth-coordinator init`"));
  init(OwnerKind::kCoordinator);
  EXPECT_THAT(open_error(OwnerKind::kAgent).message,
              HasSubstr("is the data directory of a coordinator, and this is troth-agent"));
}

TEST_F(DataDirectoryTest, EveryDamagedByteOfAnIdentityIsNoticed) {
  init(OwnerKind::kCoordinator);
  const auto file = path_ + "/identity";
  const auto good = read_file(file, 4096);
  ASSERT_TRUE(good);
  for (std::size_t i = 0; i < good->size(); ++i) {
    auto bad = *good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    ASSERT_TRUE(write_durably(file, bad));
    const auto error = open_error(OwnerKind::kCoordinator);
    EXPECT_EQ(error.code, ErrorCode::kCorrupt) << "byte " << i << ": " << error.message;
  }
  ASSERT_TRUE(write_durably(file, good->substr(0, good->size() - 1)));
  EXPECT_EQ(open_error(OwnerKind::kCoordinator).code, ErrorCode::kCorrupt);
}

TEST_F(DataDirectoryTest, OnlyOneProcessOpensIt) {
  init(OwnerKind::kAgent);
  {
    const auto first = DataDirectory::open(path_, OwnerKind::kAgent);
    ASSERT_TRUE(first);
    EXPECT_EQ(open_error(OwnerKind::kAgent).code, ErrorCode::kNotOwner);
    EXPECT_TRUE(read_identity(path_)) << "reading beside a running process is allowed";
  }
  EXPECT_TRUE(DataDirectory::open(path_, OwnerKind::kAgent));
}

TEST_F(DataDirectoryTest, AnAgentJoinsOneClusterForEver) {
  init(OwnerKind::kAgent);
  {
    auto data = DataDirectory::open(path_, OwnerKind::kAgent);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->identity().cluster, ClusterId{});
    ASSERT_TRUE(data->record_cluster(ClusterId{"bank-x7k2p9"}));
  }
  auto data = DataDirectory::open(path_, OwnerKind::kAgent);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->identity().cluster, ClusterId{"bank-x7k2p9"});
  EXPECT_TRUE(data->record_cluster(ClusterId{"bank-x7k2p9"}));
  const auto other = data->record_cluster(ClusterId{"shop-aaaaaa"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kNotOwner);
}

}  // namespace
}  // namespace troth
