// recovery/group_change.h
//
// What an operator wants of a group's members, as the changes that bring it about, one at a time. Each is found from how the group
// stands now and nothing else: whoever runs the same command again, after whatever became of the first one, goes on where
// it stopped, or hears that it is done.
//
//   add R            it learns -> it votes
//   remove R         it is gone
//   replace OLD NEW  NEW learns -> NEW votes, too -> OLD is gone
//
// Quorums of two configurations that follow each other share a replica only if they differ by one vote (quorum.h, check_change):
// so nobody is replaced in one step, not even one that is dead; and who goes, goes last.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"

namespace troth::recovery {

using ReplicaNumbers = std::set<std::uint32_t>;

struct GroupMembers {
  ReplicaNumbers voters;
  ReplicaNumbers learners;
  bool operator==(const GroupMembers&) const = default;
};

struct GroupWish {
  enum class Kind : std::uint8_t { kAdd, kAddLearner, kRemove, kReplace };
  Kind kind = Kind::kAdd;
  std::uint32_t replica = 0;
  std::uint32_t by = 0;  // kReplace: the new one
};

struct GroupStep {
  GroupMembers next;
  std::string what;  // "replica 4 learns what is chosen"
};

// None: it is as wished. Refuses (invalid_argument) what cannot come about: the removal of the only voter, a replacement of one that
// is no member by one that is none either, or of one by itself.
[[nodiscard]] Result<std::optional<GroupStep>> next_step(const GroupMembers& now, const GroupWish& wish);

// "replica 4 votes"
[[nodiscard]] std::string done_text(const GroupWish& wish);

}  // namespace troth::recovery
