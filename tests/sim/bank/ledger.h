// tests/sim/bank/ledger.h
//
// What was asked and what was told, over the whole run: what no crash of anybody may contradict.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"

namespace troth::sim {

// So much to one account of one database.
struct Posting {
  std::size_t database = 0;
  std::int64_t account = 0;
  std::int64_t amount = 0;
};

struct Transfer {
  RequestKey key;
  std::vector<Posting> postings;  // of one branch for each database
  bool interactive = false;       // it comes statement by statement, and so it does when it is sent again
  [[nodiscard]] std::set<std::size_t> databases() const;

  std::set<std::string> named;  // its attempts, as far as its client heard of them
  // What a client was told of it, ever.
  std::set<std::string> told_committed;      // transaction ids
  std::set<std::string> told_not_committed;  // transaction ids: they never will
  bool told_barred = false;                  // no attempt ever will
  bool over = false;                         // its client needs to know nothing more
};

class Ledger {
 public:
  Transfer& open(RequestKey key, std::vector<Posting> postings, bool interactive = false);
  [[nodiscard]] Transfer& at(const RequestKey& key) { return transfers_.at(key); }
  [[nodiscard]] const std::map<RequestKey, Transfer>& transfers() const { return transfers_; }
  [[nodiscard]] bool all_over() const;

  // ---- What its client hears of it.
  void tell_committed(const RequestKey& key, const std::string& transaction);
  void tell_not_committed(const RequestKey& key, const std::string& transaction);
  void tell_barred(const RequestKey& key);
  // Committed, and in every database.
  void tell_applied(const RequestKey& key, const std::string& transaction);
  // Of no attempt with this request by now; another may follow.
  void tell_nothing_stands(const RequestKey& key);
  std::function<void(const RequestKey& key, const std::string& transaction)> on_committed;
  std::function<void(const RequestKey& key, const std::string& transaction)> on_not_committed;
  std::function<void(const RequestKey& key)> on_barred;
  std::function<void(const RequestKey& key, const std::string& transaction)> on_applied;
  std::function<void(const RequestKey& key)> on_nothing_stands;

  // Each database's account: so much in the beginning.
  std::map<std::pair<std::size_t, std::int64_t>, std::int64_t> beginning;

 private:
  std::map<RequestKey, Transfer> transfers_;
};

}  // namespace troth::sim
