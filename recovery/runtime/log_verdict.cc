#include "recovery/runtime/log_verdict.h"

#include <fmt/format.h>

namespace troth::recovery {

VerdictWords words_of(const txlog::Verdict& verdict) {
  struct Words {
    VerdictWords operator()(const txlog::CleanEnd&) const {
      return {"clean", "whole: every byte is as it was written"};
    }
    VerdictWords operator()(const txlog::CutTail& cut) const {
      return {"cut tail",
              fmt::format("its last batch ({}) is bad, in segment {} at {}: {}. It was never synced, or it "
                          "rotted since; the owner cuts it at its next start, and asks the others",
                          cut.batch.value, cut.segment.value, cut.offset, cut.what)};
    }
    VerdictWords operator()(const txlog::Refusal& refusal) const {
      return {"refused",
              fmt::format("it will not be opened: segment {} at {}: {}. Nothing on disk is changed; restore "
                          "the directory from a backup, and see `troth cluster new-reign` or `troth "
                          "resource take-over`",
                          refusal.segment.value, refusal.offset, refusal.what)};
    }
  };
  return std::visit(Words{}, verdict);
}

}  // namespace troth::recovery
