#include "txlog/chain.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth::txlog {
namespace {

std::optional<Refusal> refuse_stranger(const SegmentHeader& header, const LogIdentity& expected) {
  const auto& found = header.identity;
  if (found.cluster != expected.cluster) {
    return Refusal{
        RefusalReason::kOtherCluster, header.number, 0,
        fmt::format("it belongs to cluster '{}', not to '{}'", found.cluster.value, expected.cluster.value)};
  }
  if (found.owner != expected.owner) {
    return Refusal{RefusalReason::kOtherOwner, header.number, 0,
                   fmt::format("it belongs to owner '{}', not to '{}'", found.owner, expected.owner)};
  }
  return std::nullopt;
}

}  // namespace

std::expected<SegmentChain, Refusal> link_segments(std::vector<SegmentHeader> headers,
                                                   const std::optional<LogIdentity>& expected) {
  SegmentChain chain;
  if (headers.empty()) return chain;
  std::ranges::sort(headers, {}, &SegmentHeader::number);
  for (const auto& header : headers) {
    if (auto stranger = refuse_stranger(header, expected.value_or(headers.front().identity)))
      return std::unexpected(std::move(*stranger));
  }
  auto next = headers.end() - 1;
  chain.live.push_back(*next);
  while (next != headers.begin()) {
    const auto newer = chain.live.back();
    --next;
    if (next->number > newer.predecessor) {
      chain.superseded.push_back(next->number);
    } else if (next->number == newer.predecessor) {
      if (next->salt != newer.predecessor_salt) {
        return std::unexpected(Refusal{
            RefusalReason::kDamage, next->number, 0,
            fmt::format(
                "it is not the file that segment {} continues: one of them was put here from another copy",
                newer.number.value)});
      }
      chain.live.push_back(*next);
    } else {
      chain.left_behind.push_back(next->number);
    }
  }
  std::ranges::reverse(chain.live);
  std::ranges::reverse(chain.superseded);
  std::ranges::reverse(chain.left_behind);
  return chain;
}

}  // namespace troth::txlog
