#include "tests/sim/words/record_words.h"

#include <type_traits>
#include <variant>

#include <fmt/format.h>

#include "coordinator/decision_store/runtime/record_codec.h"
#include "participant_agent/runtime/journal_codec.h"
#include "txlog/scan.h"

namespace troth::sim {
namespace {

namespace store = coordinator::store;

std::string words(const store::LogRecord& record) {
  return std::visit(
      [](const auto& each) -> std::string {
        using R = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<R, store::CommitRecord>) {
          return fmt::format("commit of {}, {} branches", each.transaction.text(), each.branches.size());
        } else if constexpr (std::is_same_v<R, store::PreCommitRecord>) {
          return fmt::format("pre-commit of {}", each.transaction.text());
        } else if constexpr (std::is_same_v<R, store::AbortRecord>) {
          return fmt::format("abort of {}", each.transaction.text());
        } else if constexpr (std::is_same_v<R, store::BarredRecord>) {
          return fmt::format("request {} is barred", each.request.id.text());
        } else if constexpr (std::is_same_v<R, store::EpochRecord>) {
          return fmt::format("epoch {}", each.epoch.number.value);
        } else if constexpr (std::is_same_v<R, store::ResourceRecord>) {
          return fmt::format("resource {} of {}", each.name.value, each.agent.value);
        } else if constexpr (std::is_same_v<R, store::Floors>) {
          return fmt::format("floor {}.{}", each.transactions.epoch.value, each.transactions.sequence.value);
        } else if constexpr (std::is_same_v<R, store::EndedRecord>) {
          return fmt::format("end of {}", each.transaction.text());
        } else {
          return fmt::format("an operator's word on {}", each.transaction.text());
        }
      },
      record);
}

std::string detail(const agent::JournalRecord& record) {
  return std::visit(
      [](const auto& each) -> std::string {
        using R = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<R, agent::BranchBegun>) {
          return fmt::format("{} branch {} on {}", each.work.id.transaction.text(), each.work.id.branch.value,
                             each.work.resource.value);
        } else if constexpr (std::is_same_v<R, agent::DecisionLearned> ||
                             std::is_same_v<R, agent::Resolved>) {
          return fmt::format("{} branch {} on {}", each.id.transaction.text(), each.id.branch.value,
                             each.resource.value);
        } else if constexpr (std::is_same_v<R, agent::Finished>) {
          return fmt::format("{} branch {} on {}, {}", each.id.transaction.text(), each.id.branch.value,
                             each.resource.value, agent::name_of(each.end));
        } else if constexpr (std::is_same_v<R, agent::EndedByLeader>) {
          std::string all;
          for (const auto& transaction : each.transactions)
            all += (all.empty() ? "" : " ") + transaction.text();
          return all;
        } else if constexpr (std::is_same_v<R, agent::EpochSeen>) {
          return fmt::format("{}", each.epoch.number.value);
        } else if constexpr (std::is_same_v<R, agent::WatermarkRaised>) {
          return fmt::format("{}.{}", each.watermark.epoch.value, each.watermark.sequence.value);
        } else if constexpr (std::is_same_v<R, agent::AgentStarted>) {
          return fmt::format("incarnation {}", each.incarnation.value);
        } else {
          return {};
        }
      },
      record);
}

}  // namespace

std::string words_of(const std::string& directory, txlog::RecordType type, txlog::Bytes payload) {
  if (directory == "/log") {
    const auto record = store::decode(type, payload);
    return record ? words(*record) : record.error().message;
  }
  const auto record = agent::decode(txlog::RecordView{{}, type, payload});
  if (!record) return record.error().message;
  const auto& known = *record;
  if (!known) return {};
  const auto more = detail(*known);
  return fmt::format("{}{}{}", agent::name_of(*known), more.empty() ? "" : " ", more);
}

}  // namespace troth::sim
