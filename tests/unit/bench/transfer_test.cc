#include "bench/transfer.h"

#include <set>

#include <gtest/gtest.h>

namespace troth::bench {
namespace {

TEST(Transfer, StaysInsideTheAccountsAndAmountsAndGoesBothWays) {
  Random random(1);
  std::set<AccountNumber> postgres;
  std::set<AccountNumber> mysql;
  std::set<std::int64_t> amounts;
  for (int i = 0; i < 2000; ++i) {
    const Transfer transfer = draw_transfer(random, 10);
    postgres.insert(transfer.postgres_account);
    mysql.insert(transfer.mysql_account);
    amounts.insert(transfer.amount);
  }
  EXPECT_EQ(postgres, (std::set<AccountNumber>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(mysql, postgres);
  std::set<std::int64_t> expected;
  for (std::int64_t amount = 1; amount <= kLargestAmount; ++amount) {
    expected.insert(amount);
    expected.insert(-amount);
  }
  EXPECT_EQ(amounts, expected);
}

TEST(Transfer, IsTheSameForTheSameSeed) {
  Random one(7);
  Random same(7);
  for (int i = 0; i < 100; ++i) {
    const Transfer a = draw_transfer(one, 10'000);
    const Transfer b = draw_transfer(same, 10'000);
    EXPECT_EQ(a.postgres_account, b.postgres_account);
    EXPECT_EQ(a.mysql_account, b.mysql_account);
    EXPECT_EQ(a.amount, b.amount);
  }
}

}  // namespace
}  // namespace troth::bench
