#include "coordinator/admission.h"

#include <chrono>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kMaxClientLength = 64;

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

Status check_time(std::string_view what, Duration asked, Duration granted, const Work& work) {
  if (asked <= granted) return {};
  const auto in_ms = [](Duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  auto error = invalid(fmt::format("{} of {} ms is asked for, and at most {} are granted", what, in_ms(asked),
                                   in_ms(granted)));
  // No part of the content: an earlier attempt may have asked for less, and have committed (attack 40).
  if (work.request) error.error().effect = Effect::kUnknown;
  return error;
}

}  // namespace

Status Admission::check_shape(const Work& work) const {
  if (work.branches.empty() && !work.interactive)
    return invalid("the request names no branch; give at least one");
  if (work.branches.size() > limits_.branches)
    return invalid(fmt::format("the request has {} branches, and at most {} are taken: split it",
                               work.branches.size(), limits_.branches));
  std::set<ResourceName> seen;
  for (const auto& branch : work.branches) {
    if (!seen.insert(branch.resource).second)
      return invalid(fmt::format("resource '{}' stands in two branches; put its statements into one",
                                 branch.resource.value));
  }
  if (work.client.size() > kMaxClientLength)
    return invalid(fmt::format("client_name has {} bytes, and at most {} are taken", work.client.size(),
                               kMaxClientLength));
  if (auto granted = check_time("timeout", work.timeout, limits_.longest_timeout, work); !granted)
    return granted;
  if (!work.interactive) return {};
  return check_time("idle timeout", work.interactive->idle_timeout, limits_.longest_idle, work);
}

Status Admission::check_room(const Work& work, std::size_t open) const {
  if (taken_ >= limits_.undecided)
    return std::unexpected(overloaded(fmt::format("{} transactions are undecided", taken_)));
  if (open >= limits_.open)
    return std::unexpected(overloaded(fmt::format("{} transactions wait for their agents", open)));
  if (bytes_ + work.bytes > limits_.bytes)
    return std::unexpected(overloaded(fmt::format("{} bytes of requests are undecided", bytes_)));
  const auto share = by_client_.find(work.client);
  if (share == by_client_.end()) return {};
  const auto& [undecided, interactive] = share->second;
  if (undecided >= limits_.undecided_per_client)
    return std::unexpected(
        overloaded(fmt::format("{} transactions of client '{}' are undecided", undecided, work.client)));
  if (work.interactive && interactive >= limits_.interactive_per_client)
    return std::unexpected(overloaded(
        fmt::format("{} interactive transactions of client '{}' are open", interactive, work.client)));
  return {};
}

// Every record of the last `least_age` is kept, so that a retry finds it (attack 43).
Status Admission::check_records(const Work& work, std::uint64_t kept) const {
  const bool may_be_recorded = !goes_in_one_phase(work);
  if (may_be_recorded && kept >= limits_.kept_records)
    return std::unexpected(overloaded(fmt::format("{} outcomes are kept for retries", kept)));
  return {};
}

Status Admission::take_statement(std::size_t bytes) {
  if (bytes_ + bytes > limits_.bytes)
    return std::unexpected(overloaded(fmt::format("{} bytes of requests are undecided", bytes_)));
  bytes_ += bytes;
  return {};
}

void Admission::give_back_statement(std::size_t bytes) {
  CHECK(bytes_ >= bytes, "{} bytes, {} given back", bytes_, bytes);
  bytes_ -= bytes;
}

Error Admission::overloaded(std::string what) const {
  auto error =
      refusal(ErrorCode::kOverloaded, Effect::kNone,
              fmt::format("this coordinator is at its limit: {}; try again a little later", what), true);
  error.retry_after = std::chrono::duration_cast<std::chrono::milliseconds>(limits_.retry_after);
  return error;
}

void Admission::take(const std::string& client, std::size_t bytes, bool interactive) {
  ++taken_;
  bytes_ += bytes;
  auto& share = by_client_[client];
  ++share.undecided;
  if (interactive) ++share.interactive;
}

void Admission::give_back(const std::string& client, std::size_t bytes, bool interactive) {
  CHECK(taken_ > 0 && bytes_ >= bytes, "{} taken, {} bytes, {} given back", taken_, bytes_, bytes);
  --taken_;
  bytes_ -= bytes;
  const auto at = by_client_.find(client);
  CHECK(at != by_client_.end(), "client '{}' has nothing to give back", client);
  auto& share = at->second;
  CHECK(share.undecided > 0 && (!interactive || share.interactive > 0), "client '{}' gives back too much",
        client);
  if (interactive) --share.interactive;
  if (--share.undecided == 0) by_client_.erase(at);
}

}  // namespace troth::coordinator
