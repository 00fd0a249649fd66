// tests/sim/model/durable_state.h
//
// What a crash leaves: the disk's content, as the server's recovery would read it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "tests/sim/model/rows.h"

namespace troth::sim {

struct PreparedOnDisk {
  BranchId branch;
  std::map<RowKey, std::optional<RowValue>> writes;
  std::set<RowKey> locked;  // exclusively, written or not
};

// What everybody sees committed, and the disk knows as prepared only: MariaDB's commit in one phase beside a binary log,
// until the next write reaches the disk.
struct Lagging {
  PreparedOnDisk on_disk;
  std::map<RowKey, std::optional<RowValue>> before;
};

// MySQL's: for each server that ever wrote, how many transactions of it this one has.
using GtidSet = std::map<std::string, std::uint64_t>;
[[nodiscard]] std::string text_of(const GtidSet& gtids);
[[nodiscard]] bool holds(const GtidSet& gtids, const std::string& known);

struct DurableState {
  std::map<RowKey, RowValue> rows;
  std::vector<PreparedOnDisk> prepared;
  std::string server;          // identity
  std::uint64_t timeline = 1;  // Postgres
  GtidSet gtids;
};

}  // namespace troth::sim
