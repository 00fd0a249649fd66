// coordinator/consensus/entry.h
//
// What a slot of the replicated log can hold.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <variant>

#include "coordinator/consensus/quorum.h"

namespace troth::coordinator::consensus {

// Fills a slot in which nothing can have been chosen, or shows that the log moves.
struct NoOp {
  bool operator==(const NoOp&) const = default;
};

// The owner's bytes: shared, never copied; a batch of whatever was asked for at one moment.
struct Command {
  std::shared_ptr<const std::string> bytes;
  bool operator==(const Command& other) const {
    return bytes == other.bytes || (bytes && other.bytes && *bytes == *other.bytes);
  }
};

// Votes are counted by it from `window` slots later on.
struct ChangeConfiguration {
  Configuration next;
  bool operator==(const ChangeConfiguration&) const = default;
};

using Entry = std::variant<NoOp, Command, ChangeConfiguration>;

// About what it takes of memory and of a message, in bytes.
[[nodiscard]] inline std::size_t size_of(const Entry& entry) {
  constexpr std::size_t kAround = 48;
  const auto* command = std::get_if<Command>(&entry);
  return kAround + (command != nullptr && command->bytes ? command->bytes->size() : 0);
}

// How many entries one message takes: one always, and more as long as they stay within the limit together.
class MessageRoom {
 public:
  explicit MessageRoom(std::size_t bytes) : left_(bytes) {}
  [[nodiscard]] bool take(const Entry& entry) {
    const auto size = size_of(entry);
    if (!is_empty_ && size > left_) return false;
    left_ -= std::min(size, left_);
    is_empty_ = false;
    return true;
  }

 private:
  std::size_t left_;
  bool is_empty_ = true;
};

}  // namespace troth::coordinator::consensus
