#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/invariants/invariants.h"
#include "tests/sim/invariants/run_end.h"

namespace troth::sim {

void check_money(const RunEnd& end, Broken& broken) {
  auto expected = end.ledger.beginning;
  // What a transaction moved that a hand, or who restored a database, has ended otherwise somewhere.
  std::int64_t by_hand = 0;
  for (const auto& [key, by] : end.committed) {
    const auto found = end.ledger.transfers().find(key);
    if (found == end.ledger.transfers().end()) continue;
    for (const auto& [transaction, databases] : by) {
      const auto id = TransactionId::parse(transaction);
      const bool is_otherwise = id && !end.evidence.truth(*id).ended_otherwise(databases).empty();
      for (const auto& posting : found->second.postings) {
        if (!databases.contains(posting.database)) continue;
        expected[{posting.database, posting.account}] += posting.amount;
        if (is_otherwise) by_hand += posting.amount;
      }
    }
  }
  std::int64_t total = by_hand;
  for (const auto& [account, balance] : end.ledger.beginning)
    total += balance;
  const auto& databases = end.databases;
  for (std::size_t i = 0; i < databases.size(); ++i) {
    for (const auto& [account, balance] : databases[i].accounts) {
      total -= balance;
      if (const auto wanted = expected[{i, account}]; wanted != balance)
        broken.push_back(fmt::format("money: account {} of {} holds {}, its transfers make {}", account,
                                     databases[i].name, balance, wanted));
    }
  }
  const bool all_ended =
      std::ranges::all_of(databases, [](const auto& each) { return each.prepared.empty(); });
  if (total != 0 && all_ended) broken.push_back(fmt::format("money: {} is missing from the bank", total));
}

}  // namespace troth::sim
