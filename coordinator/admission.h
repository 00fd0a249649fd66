// coordinator/admission.h
//
// How much of one coordinator is taken: undecided transactions, their bytes, and each client's share. What
// would go beyond a limit is refused by name, before anything has been begun.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "base/result.h"
#include "coordinator/table_limits.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

class Admission {
 public:
  explicit Admission(const TableLimits& limits) : limits_(limits) {}

  // What can be said of the request alone; its shape, and the times it asks for.
  [[nodiscard]] Status check_shape(const Work& work) const;
  // Whether there is room for it now. `open`: decided and not ended included.
  [[nodiscard]] Status check_room(const Work& work, std::size_t open) const;
  // Whether there is room for the record that its commit may need. `kept`: of earlier ones, for retries.
  [[nodiscard]] Status check_records(const Work& work, std::uint64_t kept) const;
  [[nodiscard]] Error overloaded(std::string what) const;

  void take(const std::string& client, std::size_t bytes, bool interactive);
  void give_back(const std::string& client, std::size_t bytes, bool interactive);
  // Of an interactive transaction, until it is answered.
  [[nodiscard]] Status take_statement(std::size_t bytes);
  void give_back_statement(std::size_t bytes);

  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  const TableLimits& limits_;
  std::size_t taken_ = 0;
  std::size_t bytes_ = 0;
  struct Share {
    std::size_t undecided = 0;
    std::size_t interactive = 0;  // of those
  };
  std::map<std::string, Share, std::less<>> by_client_;
};

// Only a single branch that may write goes in one phase; everything else takes votes.
[[nodiscard]] inline bool goes_in_one_phase(const Work& work) {
  return work.branches.size() == 1 && !work.branches.front().declared_read_only;
}

}  // namespace troth::coordinator
