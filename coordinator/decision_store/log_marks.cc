#include "coordinator/decision_store/log_marks.h"

#include <algorithm>
#include <ranges>

namespace troth::coordinator::store {

consensus::Slot slot_of(const consensus::DurableRecord& record) {
  return std::visit(
      [](const auto& in) -> consensus::Slot {
        using R = std::decay_t<decltype(in)>;
        if constexpr (std::is_same_v<R, consensus::Accepted> || std::is_same_v<R, consensus::Learned> ||
                      std::is_same_v<R, consensus::ChosenThrough>)
          return in.slot;
        else
          return {};
      },
      record);
}

void LogMarks::add(consensus::LogWrite write, consensus::Slot slot, std::uint64_t bytes) {
  if (since_mark_ >= every_bytes_) {
    marks_.push_back({write, highest_});
    since_mark_ = 0;
  }
  since_mark_ += bytes;
  highest_ = std::max(highest_, slot);
  next_ = {write.value + 1};
}

consensus::LogWrite LogMarks::first_kept(consensus::Slot slot) const {
  if (highest_ <= slot) return next_;
  for (const auto& mark : std::views::reverse(marks_))
    if (mark.highest_before <= slot) return mark.write;
  return {};
}

void LogMarks::cut(consensus::LogWrite kept) {
  while (!marks_.empty() && marks_.front().write < kept)
    marks_.pop_front();
}

}  // namespace troth::coordinator::store
