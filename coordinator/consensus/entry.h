// coordinator/consensus/entry.h
//
// What a slot of the replicated log can hold.
#pragma once

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

}  // namespace troth::coordinator::consensus
