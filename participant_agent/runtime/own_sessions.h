// participant_agent/runtime/own_sessions.h
//
// The database sessions that this process holds now. At a start, and after each reconnect, every *other*
// session of the role is ended [T11]; these are the ones that are not others. Safe from every thread.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

class OwnSessions {
 public:
  // A connection lives as long as its cancellation is held by it.
  void add(const DatabaseConnection& connection) {
    const std::lock_guard lock(mutex_);
    std::erase_if(open_, [](const auto& each) { return each.second.expired(); });
    open_.emplace_back(connection.session_identity().connection, connection.cancellation());
  }

  [[nodiscard]] bool holds(ConnectionId id) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(open_,
                               [&](const auto& each) { return each.first == id && !each.second.expired(); });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<ConnectionId, std::weak_ptr<Cancellation>>> open_;
};

}  // namespace troth::agent
