// bench/runtime/teller.h
//
// Carries out transfers for one client, one after the other. There is a hand-coded one and one that asks
// Troth.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "bench/transfer.h"

namespace troth::bench {

// A transfer that has met conflicts this often in a row will not get through.
inline constexpr int kMostConflicts = 1000;

// Made, used and destroyed by one thread.
class Teller {
 public:
  Teller() = default;
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;
  virtual ~Teller() = default;

  // Returns once the transfer is committed, with the number of attempts that met another transfer's locks,
  // left nothing, and were made again. An error ends the run: neither side is expected to have any.
  [[nodiscard]] virtual Result<int> transfer(const Transfer& transfer) = 0;
};

// Opens what the client of this number needs; called by the client's own thread.
using OpenTeller = std::function<Result<std::unique_ptr<Teller>>(int client)>;

}  // namespace troth::bench
