// coordinator/remembered_outcomes.h
//
// How the last transactions ended that left no record: aborts with their reason, and one-phase outcomes, also
// those that were settled long after their callers had gone. A convenience of this reign, bounded in number and
// in words; whoever asks for one that has left gets the same outcome from the store or the resource, without the
// reason.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "coordinator/table_messages.h"

namespace troth::coordinator {

class RememberedOutcomes {
 public:
  explicit RememberedOutcomes(std::size_t limit) : limit_(limit) {}

  static constexpr std::size_t kMostDetail = 1024;  // bytes; a database's own words may be longer

  void remember(const TransactionId& id, StatusReport report) {
    shorten(report.detail);
    if (!outcomes_.emplace(position_of(id), std::move(report)).second) return;
    order_.push_back(position_of(id));
    if (order_.size() <= limit_) return;
    outcomes_.erase(order_.front());
    order_.pop_front();
  }
  [[nodiscard]] std::optional<StatusReport> find(const TransactionId& id) const {
    const auto at = outcomes_.find(position_of(id));
    if (at == outcomes_.end() || at->second.transaction != id) return std::nullopt;
    return at->second;
  }

 private:
  // Not inside of a UTF-8 character.
  static void shorten(std::string& text) {
    if (text.size() <= kMostDetail) return;
    auto end = kMostDetail;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;
    text.resize(end);
    text.shrink_to_fit();
  }

  std::size_t limit_;
  std::map<Position, StatusReport> outcomes_;
  std::deque<Position> order_;
};

}  // namespace troth::coordinator
