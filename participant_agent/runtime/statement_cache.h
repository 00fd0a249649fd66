// participant_agent/runtime/statement_cache.h
//
// The prepared statements of one session, by their text; the longest unused one goes when it is full.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace troth::agent {

template <typename Prepared>
class StatementCache {
 public:
  explicit StatementCache(std::size_t limit) : limit_(limit) { CHECK(limit > 0); }

  // Null: not there. Valid until the next `insert` or `clear`.
  [[nodiscard]] Prepared* find(std::string_view sql) {
    const auto found = by_sql_.find(sql);
    if (found == by_sql_.end()) return nullptr;
    used_.splice(used_.begin(), used_, found->second);
    return &found->second->second;
  }

  // The same, and does not count as a use.
  [[nodiscard]] const Prepared* peek(std::string_view sql) const {
    const auto found = by_sql_.find(sql);
    return found == by_sql_.end() ? nullptr : &found->second->second;
  }

  // The text must not be there. Returns what had to go, for the caller to close.
  [[nodiscard]] std::optional<Prepared> insert(std::string sql, Prepared prepared) {
    std::optional<Prepared> gone;
    if (used_.size() >= limit_) {
      by_sql_.erase(used_.back().first);
      gone = std::move(used_.back().second);
      used_.pop_back();
    }
    used_.emplace_front(std::move(sql), std::move(prepared));
    const bool is_new = by_sql_.emplace(used_.front().first, used_.begin()).second;
    CHECK(is_new, "a statement was prepared twice: {}", used_.front().first);
    return gone;
  }

  [[nodiscard]] std::size_t limit() const { return limit_; }
  [[nodiscard]] std::size_t size() const { return used_.size(); }
  void clear() {
    by_sql_.clear();
    used_.clear();
  }

 private:
  using Entry = std::pair<const std::string, Prepared>;
  std::size_t limit_;
  std::list<Entry> used_;  // the most recently used first
  std::map<std::string_view, typename std::list<Entry>::iterator, std::less<>> by_sql_;
};

}  // namespace troth::agent
