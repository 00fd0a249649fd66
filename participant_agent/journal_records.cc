#include "participant_agent/journal_records.h"

#include <array>

namespace troth::agent {

std::string_view name_of(const JournalRecord& record) {
  static constexpr std::array<std::string_view, std::variant_size_v<JournalRecord>> kNames{
      "epoch seen",     "watermark raised",  "claiming",        "owns",
      "counter raised", "resource identity", "branch begun",    "decision learned",
      "finished",       "resolved",          "ended by leader", "floor raised",
      "agent started",  "set back accepted", "reign doubted",   "take-over used",
      "take-over told"};
  return kNames[record.index()];
}

}  // namespace troth::agent
