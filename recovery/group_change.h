// recovery/group_change.h
//
// What an operator wants of a group's members, as the changes that bring it about, one at a time. Each is found from how the group
// stands now and nothing else: whoever runs the same command again, after whatever became of the first one, goes on where
// it stopped, or hears that it is done.
//
//   add R            it learns -> it votes
//   remove R         it is gone
//   replace OLD NEW  NEW learns -> NEW votes, too -> OLD is gone; in a full group: NEW learns -> OLD is gone -> NEW votes
//
// Quorums of two configurations that follow each other share a replica only if they differ by one vote (quorum.h, check_change):
// so nobody is replaced in one step, not even one that is dead; and who goes, goes last.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

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

struct QuorumSizes {
  std::uint32_t write = 0;
  std::uint32_t elect = 0;
  std::uint32_t read = 0;
  bool operator==(const QuorumSizes&) const = default;
};

// The quorums to ask for with a step. The same voters keep theirs; other voters get majorities, and where somebody chose other sizes
// only with `may_become_majorities` (else invalid_argument, effect none): that takes away what they were chosen for.
[[nodiscard]] Result<QuorumSizes> quorums_of(const GroupMembers& now, const QuorumSizes& sizes,
                                             const GroupStep& step, bool may_become_majorities);

// What a command that ends before its wish has come about has to say: `why`, with the effect of all that was done until then.
// `unanswered`: of a call that changes something nobody knows what became of it.
[[nodiscard]] Error ended_early(Error why, const std::vector<std::string>& steps, bool unanswered);

// Where one replica stands, as it says itself.
struct Standpoint {
  std::uint32_t replica = 0;
  std::optional<std::uint32_t> leader;
  bool leads = false;
  std::int64_t round = 0;  // of the newest ballot that it promised, which need not lead
  std::int64_t chosen = 0;
};
struct Believed {
  std::size_t index = 0;  // whose word on the members counts
  bool leads = false;     // and it does lead, as far as those who answered know
};

// Who says that it leads, by the newest ballot; of others who has come furthest: one that was cut off promises itself one ballot after
// the other, and knows nothing new. One that is followed no more, because somebody follows another by a newer ballot, does not lead.
// `all` is not empty.
[[nodiscard]] Believed believed(std::span<const Standpoint> all);

// "replica 4 votes"
[[nodiscard]] std::string done_text(const GroupWish& wish);

}  // namespace troth::recovery
