// bench/runtime/bank.h
//
// Looks at both databases from outside, on sessions of its own: that they are what they should be, that
// nothing is prepared any more, and that the money is all there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "bench/runtime/stage.h"

namespace troth::bench {

struct Totals {
  std::int64_t postgres = 0;
  std::int64_t mysql = 0;
  bool operator==(const Totals&) const = default;
};

class Bank {
 public:
  // Connects, and refuses a server of the wrong kind (invalid_argument) or one that does not keep what it
  // acknowledges (not_durable): such numbers would say nothing.
  [[nodiscard]] static Result<std::unique_ptr<Bank>> open(const Stage& stage);
  ~Bank();

  // One line for each server: its VERSION() and the settings that durability hangs on.
  [[nodiscard]] const std::string& description() const { return description_; }

  // The balances of all accounts, added up.
  [[nodiscard]] Result<Totals> totals();

  // Returns once nothing is prepared in either database (timeout, with the number that is left).
  [[nodiscard]] Status wait_until_settled(Duration bound);

 private:
  struct Sessions;
  Bank(std::unique_ptr<Sessions> sessions, std::string description);

  std::unique_ptr<Sessions> sessions_;
  const std::string description_;
};

}  // namespace troth::bench
