#include "coordinator/consensus/quorum.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace troth::coordinator::consensus {
namespace {

Status must_meet(std::string_view what, std::uint32_t one, std::uint32_t other, std::size_t replicas) {
  if (one + other > replicas) return {};
  return fail(
      ErrorCode::kInvalidArgument, Effect::kNone,
      fmt::format(
          "{}: {} + {} = {}, which must be above the {} replicas that they are taken from, or two of these "
          "quorums need not share a replica",
          what, one, other, one + other, replicas));
}

Status check_size(std::string_view name, std::uint32_t size, std::uint32_t voters) {
  if (size >= 1 && size <= voters) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("the {} quorum is {}, and must be 1 to {}: there are {} replicas that vote", name,
                          size, voters, voters));
}

}  // namespace

Replicas Configuration::everybody() const {
  Replicas all = voters;
  all.insert(learners.begin(), learners.end());
  return all;
}

Configuration with_majorities(Replicas voters) {
  const auto majority = static_cast<std::uint32_t>(voters.size() / 2 + 1);
  return {.voters = std::move(voters),
          .quorums = {majority, majority, majority},
          .learners = {},
          .lease_terms = {}};
}

Status check(const Configuration& configuration) {
  const auto voters = configuration.size();
  if (voters == 0 || voters > kMostVoters)
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("a group has 1 to {} replicas that vote, not {}", kMostVoters, voters));
  for (const auto learner : configuration.learners)
    if (configuration.voters.contains(learner))
      return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                  fmt::format("replica {} cannot vote and only learn at once", learner.value));
  if (configuration.voters.contains(ReplicaId{0}))
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                "replica 0 cannot vote: the numbers of replicas begin with 1");
  if (auto valid = check(configuration.lease_terms); !valid) return valid;
  const auto& [write, elect, read] = configuration.quorums;
  if (auto sized = check_size("write", write, voters); !sized) return sized;
  if (auto sized = check_size("elect", elect, voters); !sized) return sized;
  if (auto sized = check_size("read", read, voters); !sized) return sized;
  if (auto meet = must_meet("elect + write", elect, write, voters); !meet) return meet;
  return must_meet("read + write", read, write, voters);
}

Status check_change(const Configuration& current, const Configuration& next) {
  if (auto valid = check(current); !valid) return valid;
  if (auto valid = check(next); !valid) return valid;
  Replicas either = current.voters;
  either.insert(next.voters.begin(), next.voters.end());
  const auto& old_sizes = current.quorums;
  const auto& new_sizes = next.quorums;
  if (auto meet = must_meet("new elect + old write", new_sizes.elect, old_sizes.write, either.size()); !meet)
    return meet;
  if (auto meet = must_meet("old elect + new write", old_sizes.elect, new_sizes.write, either.size()); !meet)
    return meet;
  if (auto meet = must_meet("new read + old write", new_sizes.read, old_sizes.write, either.size()); !meet)
    return meet;
  return must_meet("old read + new write", old_sizes.read, new_sizes.write, either.size());
}

std::uint32_t votes_of(const Replicas& replicas, const Configuration& configuration) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(replicas, [&](ReplicaId each) { return configuration.voters.contains(each); }));
}

}  // namespace troth::coordinator::consensus
