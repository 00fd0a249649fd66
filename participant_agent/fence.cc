#include "participant_agent/fence.h"

#include <fmt/format.h>

#include "base/check.h"

namespace troth::agent {

Fence::Verdict Fence::judge(const LeaderStamp& stamp) {
  if (stamp.cluster != cluster_) return Verdict::kOtherCluster;
  const std::uint32_t known = newest_ ? newest_->number.value : 0;
  const std::uint32_t told = stamp.epoch.number.value;
  if (rival_ && stamp.new_reign.value <= known) return Verdict::kSetBack;
  if (told < known) return Verdict::kOlder;
  if (newest_ && told == known) {
    if (stamp.epoch.nonce == newest_->nonce) return Verdict::kLive;
    rival_ = stamp.epoch;
    return Verdict::kSetBack;
  }
  if (told - known > kConfirmedJump && confirmed_ != stamp.epoch) return Verdict::kUnconfirmed;
  newest_ = stamp.epoch;
  rival_.reset();
  return Verdict::kNewer;
}

std::optional<Error> Fence::doubt() const {
  if (!rival_) return std::nullopt;
  Error error;
  error.code = ErrorCode::kSetBack;
  error.effect = Effect::kNone;
  error.message = fmt::format(
      "epoch {} was handed out twice: the coordinators' store was set back; look at it, then run "
      "`troth cluster new-reign`",
      rival_->number.value);
  return error;
}

Error Fence::refusal(Verdict verdict, const LeaderStamp& stamp) const {
  const std::uint32_t known = newest_ ? newest_->number.value : 0;
  const std::uint32_t told = stamp.epoch.number.value;
  Error error;
  error.effect = Effect::kNone;
  switch (verdict) {
    case Verdict::kOlder:
      error.code = ErrorCode::kStale;
      error.effect = Effect::kUnknown;  // an earlier copy of the message may have been taken in its time
      error.message = fmt::format("epoch {} is over: this agent has heard of epoch {}", told, known);
      return error;
    case Verdict::kSetBack: return *doubt();
    case Verdict::kUnconfirmed:
      error.code = ErrorCode::kUnavailable;
      error.effect = Effect::kUnknown;  // the same message may be taken once the epoch is confirmed
      error.retryable = true;
      error.message = fmt::format("epoch {} is far above {}: the coordinators are being asked to confirm it",
                                  told, known);
      return error;
    case Verdict::kOtherCluster:
      error.code = ErrorCode::kInvalidArgument;
      error.message =
          fmt::format("this agent belongs to cluster {}, not {}", cluster_.value, stamp.cluster.value);
      return error;
    case Verdict::kLive:
    case Verdict::kNewer: break;
  }
  CHECK(false, "nothing was refused");
  return error;
}

}  // namespace troth::agent
