// tests/unit/commit_path/ledger.h
//
// What clients asked for and what they were told, kept apart from everything that is tested, and compared at
// the end with the rows that stand in the databases. Safe from every thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "tests/support/do_nothing_database.h"

namespace troth {

class Ledger {
 public:
  using Databases = std::map<std::string, std::shared_ptr<DoNothingDatabase>>;

  // Before the first attempt. `writes`: the resources that a commit leaves a marker in.
  void asked(const std::string& request_id, std::set<std::string> writes);
  // It committed, as this transaction.
  void told_committed(const std::string& request_id, const std::string& transaction);
  // Nothing stands and nothing will; said when no attempt was under way any more.
  void told_never(const std::string& request_id, const std::string& words);

  // The requests that nobody could tell the outcome of.
  [[nodiscard]] std::set<std::string> untold() const;
  [[nodiscard]] std::set<std::string> committed_transactions() const;
  [[nodiscard]] std::size_t committed() const;
  [[nodiscard]] std::size_t never() const;

  // Fails the running test for every lie, every half of a transaction, every second commit and every row that
  // nobody asked for.
  void compare_with(const Databases& databases) const;

 private:
  struct Entry {
    std::set<std::string> writes;
    std::optional<std::string> committed_as;
    bool never = false;
    std::string words;  // with which it was told, for messages
  };

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace troth
