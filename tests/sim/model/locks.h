// tests/sim/model/locks.h
//
// Who holds which row, and which gap between rows. It knows no waiting: whoever finds a blocker asks again when something
// was released.
//
// Source: PostgreSQL 15, "Row-Level Locks" and index uniqueness checks; MySQL 8.4, "InnoDB Locking".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/model/rows.h"

namespace troth::sim {

enum class LockMode : std::uint8_t {
  kShared,
  kExclusive,
  kInsert,  // exclusive, and nobody else's gap may lie over it
};

class Locks {
 public:
  [[nodiscard]] std::set<TransactionNumber> blockers(TransactionNumber own, const RowKey& key,
                                                     LockMode mode) const;
  void take(TransactionNumber own, const RowKey& key, LockMode mode);
  // The open interval between two keys of a table; without one, to its end. Gaps never stand in each other's way.
  void take_gap(TransactionNumber own, Table table, std::optional<std::string> low,
                std::optional<std::string> high);

  [[nodiscard]] std::set<RowKey> exclusive_of(TransactionNumber own) const;

  void release(TransactionNumber own, const RowKey& key);
  void release_gaps(TransactionNumber own);
  void release_all(TransactionNumber own);

 private:
  struct Held {
    std::optional<TransactionNumber> exclusive;
    std::set<TransactionNumber> shared;
  };
  struct Gap {
    TransactionNumber holder;
    Table table;
    std::optional<std::string> low;
    std::optional<std::string> high;
    [[nodiscard]] bool lies_over(const RowKey& key) const;
  };

  std::map<RowKey, Held> rows_;
  std::map<TransactionNumber, std::set<RowKey>> held_by_;
  std::vector<Gap> gaps_;
};

}  // namespace troth::sim
