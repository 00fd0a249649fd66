#include "recovery/group_change.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/consensus/quorum.h"

namespace troth::recovery {
namespace {

using coordinator::consensus::kMostVoters;

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
  // No room for both: {1..7} and {1..6, 8} go by {1..6}, which decides with 4 of 6.
  const bool learns = now.learners.contains(by);
  if (learns && now.voters.size() == kMostVoters && now.voters.contains(lost)) return remove(now, lost);
  if (learns && now.voters.size() == kMostVoters - 1) return add(now, by, true);
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

Result<QuorumSizes> quorums_of(const GroupMembers& now, const QuorumSizes& sizes, const GroupStep& step,
                               bool may_become_majorities) {
  const auto majorities = [](const GroupMembers& members) {
    const auto majority = static_cast<std::uint32_t>(members.voters.size() / 2 + 1);
    return QuorumSizes{majority, majority, majority};
  };
  if (step.next.voters == now.voters) return sizes;
  if (sizes == majorities(now) || may_become_majorities) return majorities(step.next);
  return refuse(
      fmt::format("the quorums are write {}, elect {}, read {} of {}, and no majorities: a change of those "
                  "that vote makes "
                  "them majorities; say --majorities if that is meant",
                  sizes.write, sizes.elect, sizes.read, now.voters.size()));
}

Error ended_early(Error why, const std::vector<std::string>& steps, bool unanswered) {
  if (steps.empty() && !unanswered) return why;
  why.effect = Effect::kUnknown;
  if (!steps.empty()) why.message += fmt::format("; done before: {}", fmt::join(steps, "; "));
  if (unanswered) why.message += "; of a step nobody said whether it was done";
  why.message += ". The same command goes on from there";
  return why;
}

Believed believed(std::span<const Standpoint> all) {
  const auto rank = [](const Standpoint& each) {
    return std::tuple(each.leads, each.leads ? each.round : each.chosen, each.chosen);
  };
  const auto best = std::ranges::max_element(all, {}, rank);
  const bool is_left = std::ranges::any_of(all, [&](const Standpoint& each) {
    return each.leader && *each.leader != best->replica && each.round > best->round;
  });
  return {.index = static_cast<std::size_t>(best - all.begin()), .leads = best->leads && !is_left};
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
