// Records of an agent's journal, in words.
#include <utility>

#include <fmt/format.h>

#include "participant_agent/runtime/journal_codec.h"
#include "recovery/runtime/record_line.h"
#include "recovery/runtime/record_text.h"

namespace troth::recovery {
namespace {

std::string branch_text(const BranchId& id) {
  return fmt::format("{}/{}", id.transaction.text(), id.branch.value);
}

std::string owner_text(const agent::OwnerRow& row) {
  return fmt::format("{} incarnation {} counter {}", row.agent.value, row.incarnation.value, row.counter);
}

// Adds what the record holds to a line that already says what it is. Parameters of statements stay out: they
// may be anything.
struct Fields {
  RecordLine& line;

  void operator()(const agent::AgentStarted& record) const {
    line.with("incarnation", record.incarnation.value);
  }
  void operator()(const agent::EpochSeen& record) const { line.with("epoch", record.epoch.number.value); }
  void operator()(const agent::WatermarkRaised& record) const {
    line.with("watermark", position_text(record.watermark));
  }
  void operator()(const agent::Claiming& record) const {
    line.with("resource", record.resource.value).with("row", owner_text(record.row));
  }
  void operator()(const agent::Owns& record) const {
    line.with("resource", record.resource.value).with("row", owner_text(record.row));
  }
  void operator()(const agent::CounterRaised& record) const {
    line.with("resource", record.resource.value).with("counter", record.counter);
  }
  void operator()(const agent::ResourceIdentity& record) const {
    line.with("resource", record.resource.value)
        .with("server", record.server)
        .with("installation", record.installation);
  }
  void operator()(const agent::BranchBegun& record) const {
    line.with("branch", branch_text(record.work.id))
        .with("resource", record.work.resource.value)
        .with("statements", record.work.statements.size())
        .with("session", record.session.connection.value);
    if (record.set_back) line.with("resource_was", "set back");
    if (record.work.request) line.with("request", key_text(*record.work.request));
  }
  void operator()(const agent::DecisionLearned& record) const {
    line.with("branch", branch_text(record.id)).with("resource", record.resource.value);
  }
  void operator()(const agent::Finished& record) const {
    line.with("branch", branch_text(record.id))
        .with("resource", record.resource.value)
        .with("end", name_of(record.end));
  }
  void operator()(const agent::Resolved& record) const {
    line.with("branch", branch_text(record.id))
        .with("resource", record.resource.value)
        .with("outcome", record.commit ? "commit" : "rollback")
        .with("operator", record.operator_name)
        .with("reason", record.reason);
  }
  void operator()(const agent::EndedByLeader& record) const {
    line.with("transactions", record.transactions.size());
  }
  void operator()(const agent::SetBackAccepted& record) const {
    line.with("resource", record.resource.value);
  }
  void operator()(const agent::TakeOverUsed& record) const { line.with("resource", record.resource.value); }
  void operator()(const agent::TakeOverTold& record) const { line.with("resource", record.resource.value); }
  void operator()(const agent::ReignDoubted& record) const { line.with("epoch", record.rival.number.value); }
  void operator()(const agent::FloorRaised& record) const {
    line.with("resource", record.resource.value)
        .with("floor", position_text(record.floors.position))
        .with("request_ms", record.floors.request_ms);
  }
};

}  // namespace

std::string journal_record_text(const txlog::RecordView& view) {
  const auto record = agent::decode(view);
  if (!record || !*record) return {};
  RecordLine line(agent::name_of(**record));
  std::visit(Fields{line}, **record);
  return line.text();
}

}  // namespace troth::recovery
