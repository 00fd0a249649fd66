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

Transfer& Ledger::open(RequestKey key, std::vector<Posting> postings, bool interactive) {
  Transfer transfer;
  transfer.key = key;
  transfer.postings = std::move(postings);
  transfer.interactive = interactive;
  const auto [at, is_new] = transfers_.emplace(std::move(key), std::move(transfer));
  CHECK(is_new, "a request id was made twice");
  return at->second;
}

void Ledger::tell_committed(const RequestKey& key, const std::string& transaction) {
  at(key).told_committed.insert(transaction);
  if (on_committed) on_committed(key, transaction);
}

void Ledger::tell_not_committed(const RequestKey& key, const std::string& transaction) {
  at(key).told_not_committed.insert(transaction);
  if (on_not_committed) on_not_committed(key, transaction);
}

void Ledger::tell_barred(const RequestKey& key) {
  at(key).told_barred = true;
  if (on_barred) on_barred(key);
}

void Ledger::tell_applied(const RequestKey& key, const std::string& transaction) {
  if (on_applied) on_applied(key, transaction);
}

void Ledger::tell_nothing_stands(const RequestKey& key) {
  if (on_nothing_stands) on_nothing_stands(key);
}

bool Ledger::all_over() const {
  return std::ranges::all_of(transfers_, [](const auto& each) { return each.second.over; });
}

}  // namespace troth::sim
