#include "tests/sim/bank/ledger.h"

#include <algorithm>

#include "base/check.h"

namespace troth::sim {

std::set<std::size_t> Transfer::databases() const {
  std::set<std::size_t> all;
  for (const auto& posting : postings)
    all.insert(posting.database);
  return all;
}

Transfer& Ledger::open(RequestKey key, std::vector<Posting> postings) {
  Transfer transfer;
  transfer.key = key;
  transfer.postings = std::move(postings);
  const auto [at, is_new] = transfers_.emplace(std::move(key), std::move(transfer));
  CHECK(is_new, "a request id was made twice");
  return at->second;
}

bool Ledger::all_over() const {
  return std::ranges::all_of(transfers_, [](const auto& each) { return each.second.over; });
}

}  // namespace troth::sim
