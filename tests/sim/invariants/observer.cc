#include "tests/sim/invariants/observer.h"

#include <thrift/protocol/TProtocol.h>

#include "base/check.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "participant_agent/runtime/journal_codec.h"
#include "participant_agent/runtime/wire.h"
#include "tests/sim/core/node.h"
#include "thrift/gen/agents_methods.h"

namespace troth::sim {
namespace {

agent::Vote vote_of(wire::Vote::type vote) {
  using agent::Vote;
  switch (vote) {
    case wire::Vote::YES: return Vote::kYes;
    case wire::Vote::NO: return Vote::kNo;
    case wire::Vote::READ_ONLY: return Vote::kReadOnly;
    case wire::Vote::COMMITTED: return Vote::kCommitted;
    case wire::Vote::ALREADY_COMMITTED: return Vote::kAlreadyCommitted;
    case wire::Vote::UNDECIDED: return Vote::kUndecided;
  }
  CHECK(false, "no vote is {}", static_cast<int>(vote));
}

DatabaseNumber database_named(const std::string& resource) {
  return database_of(ResourceName{resource});
}

}  // namespace

Observer::Observer(const Node& coordinator, const Ledger& asked, std::function<void(const Broken&)> on_broken)
    : coordinator_(coordinator),
      evidence_(asked),
      on_broken_(std::move(on_broken)),
      reader_(rpc::Encoding::kBinary, {}) {}

void Observer::happened(const Happening& happening) {
  const bool was_whole = broken_.empty();
  judge(evidence_, happening, broken_);
  if (was_whole && !broken_.empty()) on_broken_(broken_);
}

// ---- messages

template <typename Struct>
Struct Observer::read(rpc::Bytes message) {
  const auto& in = reader_.begin(message);
  std::string method;
  apache::thrift::protocol::TMessageType kind{};
  std::int32_t seqid = 0;
  in->readMessageBegin(method, kind, seqid);
  Struct content;
  content.read(in.get());
  return content;
}

void Observer::called(const Node& /*program*/, std::string_view method, rpc::Bytes call) {
  if (method != wire::Agent_commit_branch::kName) return;
  const auto request = read<wire::Agent_commit_branch_args>(call).request;
  const auto branch = agent::branch_of(request.transaction_id, request.branch);
  if (branch) happened(CommitCalled{*branch, database_named(request.resource)});
}

void Observer::answered(const Node& program, std::string_view method, rpc::Bytes call, rpc::Bytes answer) {
  const auto end_sent = [&](const wire::FinishRequest& request, bool is_told, wire::BranchEnd::type end) {
    const auto branch = agent::branch_of(request.transaction_id, request.branch);
    const auto told = agent::end_of(end);
    if (is_told && branch && told)
      happened(EndSent{program.name(), *branch, database_named(request.resource), *told});
  };
  if (method == wire::Agent_prepare::kName) {
    const auto request = read<wire::Agent_prepare_args>(call).request;
    const auto reply = read<wire::Agent_prepare_result>(answer);
    const auto branch = agent::branch_of(request.transaction_id, request.branch);
    const auto leader = agent::leader_of(request.header);
    if (!reply.__isset.success || !branch || !leader) return;
    happened(VoteSent{program.name(), leader->epoch, *branch, database_named(request.work.resource),
                      vote_of(reply.success.vote)});
  } else if (method == wire::Agent_commit_branch::kName) {
    const auto reply = read<wire::Agent_commit_branch_result>(answer);
    end_sent(read<wire::Agent_commit_branch_args>(call).request, reply.__isset.success,
             reply.success.outcome);
  } else if (method == wire::Agent_rollback_branch::kName) {
    const auto reply = read<wire::Agent_rollback_branch_result>(answer);
    end_sent(read<wire::Agent_rollback_branch_args>(call).request, reply.__isset.success,
             reply.success.outcome);
  }
}

// ---- logs

template <typename OfStore, typename OfJournal>
void Observer::record(const Node& program, const txlog::RecordView& record) {
  if (&program == &coordinator_) {
    auto decoded = coordinator::store::decode(record.type, record.payload);
    CHECK(decoded.has_value(), "{}", decoded.error().message);
    return happened(OfStore{*std::move(decoded)});
  }
  auto decoded = agent::decode(record);
  CHECK(decoded.has_value(), "{}", decoded.error().message);
  if (*decoded) happened(OfJournal{program.name(), **std::move(decoded)});
}

void Observer::log_opens(const Node& program) {
  if (&program == &coordinator_) return happened(StoreOpens{});
  happened(JournalOpens{program.name()});
}

void Observer::record_found(const Node& program, const txlog::RecordView& found) {
  record<StoreFound, JournalFound>(program, found);
}

void Observer::record_appended(const Node& program, const txlog::RecordView& appended) {
  record<StoreAppended, JournalAppended>(program, appended);
}

void Observer::record_durable(const Node& program, const txlog::RecordView& durable) {
  record<StoreDurable, JournalDurable>(program, durable);
}

}  // namespace troth::sim
