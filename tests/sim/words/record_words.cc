#include "tests/sim/words/record_words.h"

#include <type_traits>
#include <variant>

#include <fmt/format.h>

#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/runtime/batch_codec.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "participant_agent/runtime/journal_codec.h"
#include "tests/sim/nodes/programs.h"
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

// ---- a replica's

namespace consensus = coordinator::consensus;

std::string words(const consensus::Ballot& ballot) {
  return fmt::format("{}.{}", ballot.round, ballot.leader.value);
}

std::string words(const consensus::Entry& entry) {
  const auto* command = std::get_if<consensus::Command>(&entry);
  if (command == nullptr)
    return std::holds_alternative<consensus::NoOp>(entry) ? "nothing" : "a configuration";
  const auto batch = store::decode_batch(*command->bytes);
  if (!batch) return batch.error().message;
  std::string text = fmt::format("of replica {}:", batch->origin.replica.value);
  for (const auto& asked : batch->requests) {
    if (const auto* choose = std::get_if<store::Choose>(&asked.request))
      text += " " +
              std::visit([](const auto& record) { return words(store::LogRecord(record)); }, choose->record);
    else if (std::holds_alternative<store::AcquireEpoch>(asked.request))
      text += " an epoch";
    else
      text += " upkeep";
  }
  return text;
}

std::string words_of_replica(txlog::RecordType type, txlog::Bytes payload) {
  const auto record =
      consensus::decode_record(type, {reinterpret_cast<const char*>(payload.data()), payload.size()});
  if (!record) return record.error().message;
  return std::visit(
      [](const auto& each) -> std::string {
        using R = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<R, consensus::Promised>)
          return fmt::format("promised {}", words(each.ballot));
        else if constexpr (std::is_same_v<R, consensus::Accepted>)
          return fmt::format("accepted in {}, slot {}: {}", words(each.ballot), each.slot.value,
                             words(each.entry));
        else if constexpr (std::is_same_v<R, consensus::Learned>)
          return fmt::format("learned slot {}: {}", each.slot.value, words(each.entry));
        else if constexpr (std::is_same_v<R, consensus::ChosenThrough>)
          return fmt::format("chosen through slot {}", each.slot.value);
        else if constexpr (std::is_same_v<R, consensus::ConfiguredFrom>)
          return fmt::format("configuration from slot {}", each.slot.value);
        else if constexpr (std::is_same_v<R, consensus::Started>)
          return fmt::format("votes, start {}", each.start);
        else if constexpr (std::is_same_v<R, consensus::PositionsKnown>)
          return "positions of the others";
        else if constexpr (std::is_same_v<R, consensus::StandingAsked>)
          return fmt::format("asks whether it may vote, with start {}, write {}", each.position.start,
                             each.position.write.value);
        else
          return "how long a start waits";
      },
      *record);
}

}  // namespace

std::string words_of(const std::string& directory, txlog::RecordType type, txlog::Bytes payload) {
  if (directory == kGroupLog) return words_of_replica(type, payload);
  if (directory == kLocalLog) {
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
