// bench/runtime/transfer_run.h
//
// Measures one cell of the table: rounds of the hand-coded side and of Troth's take turns, and after each the
// money is counted.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "bench/report.h"
#include "bench/runtime/bank.h"
#include "bench/runtime/stage.h"
#include "bench/runtime/teller.h"

namespace troth::bench {

struct RunOptions {
  int rounds = 3;  // of each side
  Duration round_length{};
  bool handcoded = true;
  bool troth = true;
  std::uint64_t seed = 1;
};

class TransferRun {
 public:
  // `tell` is called with a line about each round as it ends. `stage` and `bank` outlive this.
  TransferRun(const Stage& stage, Bank& bank, const RunOptions& options,
              std::function<void(const std::string&)> tell);

  // An error of any client ends it; so does money that is missing (internal), and a branch that stays
  // prepared.
  [[nodiscard]] Result<Comparison> measure(int clients, Acknowledgement acknowledgement);

 private:
  [[nodiscard]] Result<Round> round(int clients, const OpenTeller& open_teller);
  [[nodiscard]] Status check_totals(const Totals& before, std::int64_t moved);

  const Stage& stage_;
  Bank& bank_;
  const RunOptions options_;
  const std::function<void(const std::string&)> tell_;
  int rounds_begun_ = 0;
};

}  // namespace troth::bench
