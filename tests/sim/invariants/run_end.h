// tests/sim/invariants/run_end.h
//
// How a run stands at its end, as plain values: what the checks that only the end can make compare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "tests/sim/bank/ledger.h"
#include "tests/sim/invariants/evidence.h"

namespace troth::sim {

struct DatabaseEnd {
  std::string name;
  std::map<std::int64_t, std::int64_t> accounts;
  std::set<BranchId> prepared;
};

struct RunEnd {
  const Ledger& ledger;
  const Evidence& evidence;
  // By request: which transaction committed it, in which databases, as their markers ever said.
  std::map<RequestKey, std::map<std::string, std::set<std::size_t>>> committed;
  std::vector<DatabaseEnd> databases;
  bool short_retention = false;

  // The databases in which a branch of it is prepared.
  [[nodiscard]] std::set<std::size_t> in_doubt(const std::string& transaction) const;
};

}  // namespace troth::sim
