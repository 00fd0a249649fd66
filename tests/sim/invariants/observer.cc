#include "tests/sim/invariants/observer.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

#include <thrift/protocol/TProtocol.h>

#include "base/check.h"
#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "participant_agent/runtime/journal_codec.h"
#include "participant_agent/runtime/wire.h"
#include "tests/sim/core/node.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/group_methods.h"

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

Observer::Observer(std::vector<const Node*> coordinators,
                   std::optional<coordinator::consensus::Configuration> group, const Ledger& asked,
                   std::function<void(const Broken&)> on_broken,
                   std::function<void(std::string_view)> on_rare)
    : coordinators_(std::move(coordinators)),
      evidence_(asked),
      on_broken_(std::move(on_broken)),
      on_rare_(std::move(on_rare)),
      reader_(rpc::Encoding::kBinary, {}) {
  if (group) group_.emplace(*std::move(group), on_rare_);
}

void Observer::happened(const Happening& happening) {
  Broken broken;
  judge(evidence_, happening, broken);
  noted(std::move(broken));
}

void Observer::replica_set_back(const Node& coordinator, std::uint64_t since) {
  group_->set_back({number_of(coordinator)}, since);
}

void Observer::noted(Broken broken) {
  if (broken.empty()) return;
  const bool was_whole = broken_.empty();
  broken_.insert(broken_.end(), std::make_move_iterator(broken.begin()),
                 std::make_move_iterator(broken.end()));
  if (was_whole) on_broken_(broken_);
}

std::uint32_t Observer::number_of(const Node& program) const {
  const auto found = std::ranges::find(coordinators_, &program);
  return found == coordinators_.end() ? 0 : static_cast<std::uint32_t>(found - coordinators_.begin()) + 1;
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

void Observer::attempted(const RequestKey& request, const TransactionId& transaction) {
  const auto before = evidence_.attempts.find(request);
  if (before != evidence_.attempts.end() && before->second.rbegin()->epoch < transaction.epoch)
    on_rare_("a request was tried again under another epoch");
  happened(AttemptSent{request, transaction});
}

void Observer::called(const Node& /*program*/, std::string_view method, rpc::Bytes call) {
  if (method == wire::Replicas_pass_on::kName) on_rare_("a call was passed on to the leader");
  const auto attempt_sent = [&](const auto& request) {
    if (!request.__isset.request) return;
    const auto id = TransactionId::parse(request.transaction_id);
    const auto carried = RequestId::parse(request.request.request_id);
    if (id && carried) attempted({request.request.client, *carried}, *id);
  };
  if (method == wire::Agent_prepare::kName) return attempt_sent(read<wire::Agent_prepare_args>(call).request);
  if (method == wire::Agent_run_statement::kName)
    return attempt_sent(read<wire::Agent_run_statement_args>(call).request);
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
    if (!branch || !leader) return;
    // Work that is refused is as good as a no.
    const auto vote = reply.__isset.success ? vote_of(reply.success.vote) : agent::Vote::kNo;
    const auto& refusal = reply.__isset.success ? reply.success.refusal : reply.error;
    happened(VoteSent{program.name(), leader->epoch, *branch, database_named(request.work.resource), vote,
                      vote == agent::Vote::kNo && refusal.effect == wire::Effect::NONE});
  } else if (method == wire::Agent_commit_branch::kName) {
    const auto reply = read<wire::Agent_commit_branch_result>(answer);
    end_sent(read<wire::Agent_commit_branch_args>(call).request, reply.__isset.success,
             reply.success.outcome);
  } else if (method == wire::Agent_rollback_branch::kName) {
    const auto reply = read<wire::Agent_rollback_branch_result>(answer);
    end_sent(read<wire::Agent_rollback_branch_args>(call).request, reply.__isset.success,
             reply.success.outcome);
  } else if (method == wire::Agent_settle_branch::kName) {
    const auto request = read<wire::Agent_settle_branch_args>(call).request;
    const auto reply = read<wire::Agent_settle_branch_result>(answer);
    const auto branch = agent::branch_of(request.transaction_id, request.branch);
    const auto told = agent::end_of(reply.success.outcome);
    if (reply.__isset.success && branch && told)
      happened(SettleSent{program.name(), *branch, database_named(request.resource), *told});
  } else if (method == wire::Agent_agent_status::kName) {
    const auto reply = read<wire::Agent_agent_status_result>(answer);
    for (const auto& health : reply.success.resources)
      if (health.state == "set back" || health.state == "not owner")
        happened(ResourceGivenUp{program.name(), database_named(health.resource), health.state});
  } else if (method == wire::Administration_in_doubt::kName) {
    const auto reply = read<wire::Administration_in_doubt_result>(answer);
    // Who led while the answer was put together, and does not know yet that it does no longer, is behind.
    const bool is_behind =
        group_ && group_->leader() != coordinator::consensus::ReplicaId{number_of(program)};
    if (!reply.__isset.success || is_behind) return;
    OpenShown shown;
    for (const auto& transaction : reply.success.transactions)
      if (auto id = TransactionId::parse(transaction.transaction_id))
        shown.transactions.insert(*std::move(id));
    happened(shown);
  } else if (method == wire::Directory_inquire::kName) {
    const auto request = read<wire::Directory_inquire_args>(call).request;
    const auto reply = read<wire::Directory_inquire_result>(answer);
    const auto branch = agent::branch_of(request.transaction_id, request.branch);
    if (reply.__isset.success && branch)
      happened(InquiryAnswered{*branch, agent::decision_of(reply.success.decision)});
  }
}

// ---- logs

// Of a group a record is proposed, chosen and durable at once, as far as anybody can tell.
void Observer::chosen(const GroupMemory::Chosen& records) {
  for (const auto& record : records) {
    happened(StoreAppended{record});
    happened(StoreDurable{record});
  }
}

template <typename OfStore, typename OfJournal>
void Observer::record(const Node& program, const txlog::RecordView& record) {
  const auto number = number_of(program);
  if (number != 0 && group_) {
    const std::string_view payload(reinterpret_cast<const char*>(record.payload.data()),
                                   record.payload.size());
    const auto decoded = coordinator::consensus::decode_record(record.type, payload);
    CHECK(decoded.has_value(), "{}", decoded.error().message);
    Broken broken;
    GroupMemory::Chosen records;
    if constexpr (std::is_same_v<OfStore, StoreFound>)
      records = group_->found({number}, *decoded, broken);
    else if constexpr (std::is_same_v<OfStore, StoreAppended>)
      group_->appended({number}, *decoded, broken);
    else
      records = group_->durable({number}, *decoded, broken);
    noted(std::move(broken));
    return chosen(records);
  }
  if (number != 0) {
    auto decoded = coordinator::store::decode(record.type, record.payload);
    CHECK(decoded.has_value(), "{}", decoded.error().message);
    return happened(OfStore{*std::move(decoded)});
  }
  auto decoded = agent::decode(record);
  CHECK(decoded.has_value(), "{}", decoded.error().message);
  if (*decoded) happened(OfJournal{program.name(), **std::move(decoded)});
}

void Observer::log_opens(const Node& program) {
  const auto number = number_of(program);
  if (number != 0 && group_) return group_->opens({number});
  if (number != 0) return happened(StoreOpens{});
  happened(JournalOpens{program.name()});
}

void Observer::log_cut(const Node& program) {
  if (const auto number = number_of(program); number != 0 && group_) group_->cut({number});
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
