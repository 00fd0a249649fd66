#include "txlog/crc32c.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace troth::txlog {
namespace {

// RFC 3720, B.4. The RFC prints the checksums byte by byte, least significant first.
TEST(Crc32c, EqualsTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\xff'))), 0x62a8ab43U);
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
    falling += static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(bytes_of(rising)), 0x46dd794eU);
  EXPECT_EQ(crc32c(bytes_of(falling)), 0x113fdb5cU);
  const std::string read_command{
      "\x01\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x00\x00\x04\x00"
      "\x00\x00\x00\x14\x00\x00\x00\x18\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
      48};
  EXPECT_EQ(crc32c(bytes_of(read_command)), 0xd9963a56U);
}

TEST(Crc32c, GoesOnWhereItStopped) {
  const std::string text = "In nova fert animus mutatas dicere formas";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc32c(bytes_of(text.substr(cut)), crc32c(bytes_of(text.substr(0, cut)))),
              crc32c(bytes_of(text)));
  }
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(AllZero, SeesASingleBitAnywhere) {
  std::array<std::byte, 100> bytes{};
  EXPECT_TRUE(all_zero(bytes));
  EXPECT_TRUE(all_zero({}));
  for (auto& byte : bytes) {
    byte = std::byte{1};
    EXPECT_FALSE(all_zero(bytes));
    byte = std::byte{0};
  }
}

}  // namespace
}  // namespace troth::txlog
