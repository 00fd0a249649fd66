// bench/transfer.h
//
// What one client asks for: money moved between an account in Postgres and an account in the other database.
// Accounts are drawn at random from many, so that two clients meet at a row rarely, but they do meet.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace troth::bench {

// Accounts are numbered 0.. in either database.
using AccountNumber = std::int64_t;

inline constexpr std::int64_t kLargestAmount = 10;

struct Transfer {
  AccountNumber postgres_account = 0;
  AccountNumber mysql_account = 0;
  std::int64_t amount =
      0;  // into the Postgres account, out of the other one; negative: the other way; never 0
};

// What the work of one branch came to.
enum class BranchWork : std::uint8_t {
  kPrepared,
  kConflict,  // another transfer held the row for too long: nothing of the branch stands
};

[[nodiscard]] inline Transfer draw_transfer(Random& random, std::int64_t accounts) {
  Transfer transfer;
  transfer.postgres_account = random.between(0, accounts - 1);
  transfer.mysql_account = random.between(0, accounts - 1);
  transfer.amount = random.between(1, kLargestAmount);
  if (random.one_in(2)) transfer.amount = -transfer.amount;
  return transfer;
}

}  // namespace troth::bench
