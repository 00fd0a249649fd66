#include "recovery/group_change.h"

#include <utility>

#include <fmt/format.h>

namespace troth::recovery {
namespace {

using Step = Result<std::optional<GroupStep>>;

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(why));
}

Step add(GroupMembers next, std::uint32_t replica, bool votes) {
  if (next.voters.contains(replica)) {
    if (votes) return std::nullopt;
    return refuse(fmt::format("replica {} votes already: remove it first, to let it learn only", replica));
  }
  if (next.learners.insert(replica).second)
    return GroupStep{std::move(next), fmt::format("replica {} learns what is chosen", replica)};
  if (!votes) return std::nullopt;
  next.learners.erase(replica);
  next.voters.insert(replica);
  return GroupStep{std::move(next), fmt::format("replica {} votes", replica)};
}

Step remove(GroupMembers next, std::uint32_t replica) {
  if (next.learners.erase(replica) == 0) {
    if (!next.voters.contains(replica)) return std::nullopt;
    if (next.voters.size() == 1)
      return refuse(
          fmt::format("replica {} is the only one that votes: nothing could be decided without it", replica));
    next.voters.erase(replica);
  }
  return GroupStep{std::move(next), fmt::format("replica {} is no member any more", replica)};
}

Step replace(const GroupMembers& now, std::uint32_t lost, std::uint32_t by) {
  if (lost == by) return refuse(fmt::format("replica {} cannot take its own place", lost));
  if (now.voters.contains(by)) return remove(now, lost);
  if (!now.voters.contains(lost))
    return refuse(
        fmt::format("replica {} does not vote, so there is no place of it to take: `troth cluster add {}` "
                    "adds another one",
                    lost, by));
  return add(now, by, true);
}

}  // namespace

Step next_step(const GroupMembers& now, const GroupWish& wish) {
  switch (wish.kind) {
    case GroupWish::Kind::kAdd: return add(now, wish.replica, true);
    case GroupWish::Kind::kAddLearner: return add(now, wish.replica, false);
    case GroupWish::Kind::kRemove: return remove(now, wish.replica);
    case GroupWish::Kind::kReplace: return replace(now, wish.replica, wish.by);
  }
  return std::nullopt;
}

std::string done_text(const GroupWish& wish) {
  switch (wish.kind) {
    case GroupWish::Kind::kAdd: return fmt::format("replica {} votes", wish.replica);
    case GroupWish::Kind::kAddLearner:
      return fmt::format("replica {} learns, and does not vote", wish.replica);
    case GroupWish::Kind::kRemove: return fmt::format("replica {} is no member", wish.replica);
    case GroupWish::Kind::kReplace:
      return fmt::format("replica {} votes in the place of replica {}", wish.by, wish.replica);
  }
  return {};
}

}  // namespace troth::recovery
