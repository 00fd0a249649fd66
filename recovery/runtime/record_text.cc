#include "recovery/runtime/record_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "coordinator/decision_store/runtime/record_codec.h"
#include "recovery/runtime/record_line.h"

namespace troth::recovery {
namespace {

namespace store = coordinator::store;

std::string time_text(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

std::string branches_text(const std::vector<store::RecordBranch>& branches) {
  std::string text;
  for (const auto& branch : branches)
    text += fmt::format("{}{}@{}", text.empty() ? "" : ",", branch.branch.value, branch.resource.value);
  return text;
}

struct StoreRecordText {
  std::string operator()(const store::EpochRecord& record) const {
    RecordLine line("epoch");
    line.with("number", record.epoch.number.value).with("acquired", time_text(record.acquired));
    if (record.new_reign.value > 0) line.with("new_reign", record.new_reign.value);
    return line.text();
  }
  std::string operator()(const store::CommitRecord& record) const {
    RecordLine line("commit");
    line.with("transaction", record.transaction.text())
        .with("branches", branches_text(record.branches))
        .with("decided", time_text(record.decided));
    if (record.request) line.with("request", key_text(*record.request));
    if (!record.label.empty()) line.with("label", record.label);
    return line.text();
  }
  std::string operator()(const store::PreCommitRecord& record) const {
    return RecordLine("pre-commit")
        .with("transaction", record.transaction.text())
        .with("branches", branches_text(record.branches))
        .text();
  }
  std::string operator()(const store::AbortRecord& record) const {
    return RecordLine("abort")
        .with("transaction", record.transaction.text())
        .with("reason", record.reason)
        .text();
  }
  std::string operator()(const store::BarredRecord& record) const {
    return RecordLine("barred")
        .with("request", key_text(record.request))
        .with("barred", time_text(record.barred))
        .text();
  }
  std::string operator()(const store::ResourceRecord& record) const {
    return RecordLine("resource")
        .with("name", record.name.value)
        .with("number", record.number.value)
        .with("kind", record.kind)
        .with("agent", record.agent.value)
        .with("incarnation", record.incarnation.value)
        .with("address", record.address)
        .text();
  }
  std::string operator()(const store::Floors& record) const {
    return RecordLine("floors")
        .with("transactions", position_text(record.transactions))
        .with("request_ms", record.request_ms)
        .text();
  }
  std::string operator()(const store::EndedRecord& record) const {
    RecordLine line("ended");
    line.with("transaction", record.transaction.text()).with("ended", time_text(record.ended));
    if (record.heuristic) line.with("heuristic", "true");
    return line.text();
  }
  std::string operator()(const store::ResolutionRecord& record) const {
    return RecordLine("resolution")
        .with("transaction", record.transaction.text())
        .with("branch", record.branch.value)
        .with("resource", record.resource.value)
        .with("outcome", record.commit ? "commit" : "rollback")
        .with("operator", record.operator_name)
        .with("reason", record.reason)
        .text();
  }
};

}  // namespace

std::string position_text(const Position& position) {
  return fmt::format("{}.{}", position.epoch.value, position.sequence.value);
}

std::string key_text(const RequestKey& key) {
  return fmt::format("{}/{}", key.client, key.id.text());
}

std::string record_text(std::string_view owner, txlog::RecordSequence sequence, txlog::RecordType type,
                        txlog::Bytes payload) {
  if (owner.starts_with("agent/"))
    return journal_record_text({.position = {.sequence = sequence}, .type = type, .payload = payload});
  if (owner != store::kLogOwner) return {};
  const auto record = store::decode(type, payload);
  return record ? std::visit(StoreRecordText{}, *record) : std::string{};
}

}  // namespace troth::recovery
