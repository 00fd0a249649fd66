// participant_agent/runtime/own_sessions.h
//
// The database sessions that this process holds now. At a start every *other* session of the role is ended [T11];
// these are the ones that are not others. Safe from every thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "participant_agent/runtime/session.h"

namespace troth::agent {

class OwnSessions {
 public:
  // Opens a session and holds it for as long as it lives.
  [[nodiscard]] Result<std::unique_ptr<DatabaseConnection>> open(const OpenConnection& opener) {
    {
      const std::lock_guard lock(mutex_);
      ++opening_;
    }
    auto connection = opener();
    const std::lock_guard lock(mutex_);
    --opening_;
    ++opened_;
    if (connection) {
      std::erase_if(open_, [](const auto& each) { return each.second.expired(); });
      // A connection lives as long as its cancellation is held by it.
      open_.emplace_back((*connection)->session_identity().connection, (*connection)->cancellation());
    }
    return connection;
  }

  [[nodiscard]] bool holds(ConnectionId id) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(open_,
                               [&](const auto& each) { return each.first == id && !each.second.expired(); });
  }

  // How many were opened so far; nothing while one is being opened, which the server lists and `holds` does not
  // know. A list of sessions between two equal counts holds none of those.
  [[nodiscard]] std::optional<std::uint64_t> settled() const {
    const std::lock_guard lock(mutex_);
    return opening_ == 0 ? std::optional(opened_) : std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  std::size_t opening_ = 0;
  std::uint64_t opened_ = 0;
  std::vector<std::pair<ConnectionId, std::weak_ptr<Cancellation>>> open_;
};

}  // namespace troth::agent
