#include "txlog/runtime/refusals.h"

#include <fmt/format.h>

namespace troth::txlog {
namespace {

struct Answer {
  ErrorCode code;
  std::string_view remedy;
};

Answer answer_to(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kDamage:
      return {ErrorCode::kCorrupt,
              "the log is damaged before its last batch and is not opened: check the disk and restore the "
              "directory "
              "from a copy of the same age; `troth log verify` lists what is readable"};
    case RefusalReason::kMissingSegment:
      return {ErrorCode::kCorrupt, "put the missing segment files back, or restore the whole directory"};
    case RefusalReason::kOtherCluster:
    case RefusalReason::kOtherOwner:
      return {ErrorCode::kNotOwner,
              "configure the directory that belongs to this process, or move this one away"};
    case RefusalReason::kNewerFormat:
      return {ErrorCode::kInvalidArgument, "start the newer version of Troth that wrote it"};
  }
  return {ErrorCode::kInternal, ""};
}

std::string_view name_of(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kDamage: return "damage";
    case RefusalReason::kMissingSegment: return "missing segment";
    case RefusalReason::kOtherCluster: return "other cluster";
    case RefusalReason::kOtherOwner: return "other owner";
    case RefusalReason::kNewerFormat: return "newer format";
  }
  return "invalid";
}

}  // namespace

Error to_error(const Refusal& refusal, const SegmentDirectory& directory) {
  const auto answer = answer_to(refusal.reason);
  return fail(answer.code, Effect::kNone,
              fmt::format("{} at offset {}: {}; {}", directory.path_of(refusal.segment), refusal.offset,
                          refusal.what, answer.remedy))
      .error();
}

std::string describe(const Verdict& verdict) {
  struct Describe {
    std::string operator()(const CleanEnd&) const { return "clean end"; }
    std::string operator()(const CutTail& cut) const {
      return fmt::format("bad last batch {} (records from {} on) at segment {} offset {}: {}",
                         cut.batch.value, cut.first_lost.value, cut.segment.value, cut.offset, cut.what);
    }
    std::string operator()(const Refusal& refusal) const {
      return fmt::format("{} at segment {} offset {}: {}", name_of(refusal.reason), refusal.segment.value,
                         refusal.offset, refusal.what);
    }
  };
  return std::visit(Describe{}, verdict);
}

}  // namespace troth::txlog
