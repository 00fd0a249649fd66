#include "tests/unit/commit_path/ledger.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace troth {

void Ledger::asked(const std::string& request_id, std::set<std::string> writes) {
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(entries_.emplace(request_id, Entry{std::move(writes), std::nullopt, false, {}}).second)
      << request_id;
}

void Ledger::told_committed(const std::string& request_id, const std::string& transaction) {
  const std::lock_guard lock(mutex_);
  auto& entry = entries_.at(request_id);
  EXPECT_FALSE(entry.never) << request_id << " was never to commit, and is told to be " << transaction;
  // A request that only read leaves no record: each attempt is a transaction of its own.
  if (!entry.writes.empty()) {
    EXPECT_EQ(entry.committed_as.value_or(transaction), transaction) << request_id << " committed twice";
  }
  entry.committed_as = transaction;
}

void Ledger::told_never(const std::string& request_id, const std::string& words) {
  const std::lock_guard lock(mutex_);
  auto& entry = entries_.at(request_id);
  EXPECT_FALSE(entry.committed_as) << request_id << " committed as " << *entry.committed_as
                                   << ", and is told to be nowhere";
  entry.never = true;
  entry.words = words;
}

std::set<std::string> Ledger::untold() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> requests;
  for (const auto& [request, entry] : entries_)
    if (!entry.never && !entry.committed_as) requests.insert(request);
  return requests;
}

std::set<std::string> Ledger::committed_transactions() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> transactions;
  for (const auto& [request, entry] : entries_)
    if (entry.committed_as && !entry.writes.empty()) transactions.insert(*entry.committed_as);
  return transactions;
}

std::size_t Ledger::committed() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& e) { return e.second.committed_as.has_value(); }));
}

std::size_t Ledger::never() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& e) { return e.second.never; }));
}

void Ledger::compare_with(const Databases& databases) const {
  const std::lock_guard lock(mutex_);
  // By request: under which transaction in which resources.
  std::map<std::string, std::map<std::string, std::set<std::string>>> standing;
  for (const auto& [resource, database] : databases) {
    EXPECT_EQ(database->unfinished(), 0U) << resource << " still holds a branch";
    for (const auto& [branch, marker] : database->markers()) {
      if (marker.state != agent::MarkerState::kCommitted) continue;
      const auto request = marker.request ? marker.request->id.text() : std::string("no request");
      ASSERT_TRUE(entries_.contains(request))
          << marker.transaction << " in " << resource << " was asked for by nobody";
      EXPECT_TRUE(standing[request][marker.transaction].insert(resource).second)
          << marker.transaction << " stands twice in " << resource;
    }
  }
  for (const auto& [request, entry] : entries_) {
    const auto& stands = standing[request];
    EXPECT_LE(stands.size(), 1U) << request << " committed more than once";
    for (const auto& [transaction, resources] : stands) {
      EXPECT_EQ(resources, entry.writes) << transaction << " of " << request << " stands in part";
      if (entry.committed_as) {
        EXPECT_EQ(*entry.committed_as, transaction) << request;
      }
    }
    if (entry.never) {
      EXPECT_TRUE(stands.empty()) << request << " was told to be nowhere, and stands as "
                                  << stands.begin()->first << "; told: " << entry.words;
    }
    if (entry.committed_as && !entry.writes.empty()) {
      EXPECT_EQ(stands.size(), 1U) << request << " was told to be " << *entry.committed_as
                                   << ", and stands nowhere";
    }
  }
}

}  // namespace troth
