#include "coordinator/runtime/administration_service.h"

#include <chrono>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "base/version.h"
#include "coordinator/runtime/wire.h"
#include "thrift/runtime/refusal.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kReportedTransactions = 10'000;

std::unexpected<Error> alone() {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              "this coordinator is alone: it has no group (set [group] in its configuration)");
}

// Collects the agents' parts of an in-doubt report; answers when the last one is in.
struct Gathering {
  wire::InDoubtReport report;
  std::size_t waiting = 1;  // one for the loop that asks
  std::function<void(const wire::InDoubtReport&)> answer;

  void one_done() {
    if (--waiting == 0) answer(report);
  }
};

// Of an agent that does not answer, or that refuses this coordinator.
void unreachable(const Error& trouble, const store::ResourceRecord& record, wire::ResourceHealth& health) {
  health.state = trouble.code == ErrorCode::kSetBack ? "stopped" : "unreachable";
  health.detail = fmt::format("agent {} at {} ", record.agent.value, record.address);
  if (trouble.message.empty()) {
    health.detail += "does not answer";
  } else {
    health.detail += fmt::format("is not connected: {}", trouble.message);
  }
  if (trouble.code == ErrorCode::kSetBack) {
    health.remedy = "see why this coordinator's store was set back, then `troth cluster new-reign`";
  } else if (trouble.code == ErrorCode::kStale) {
    health.remedy =
        "the agent has heard of a newer reign: stop this coordinator if another one serves; if its store was "
        "set "
        "back, `troth cluster new-reign`";
  } else {
    health.remedy = "start the agent, or mend the network between it and the coordinator";
  }
}

wire::ResourceStatus status_of(const ResourceReport& resource, const AgentLink* link) {
  wire::ResourceStatus status;
  const auto& record = resource.record;
  status.name = record.name.value;
  status.number = static_cast<std::int32_t>(record.number.value);
  status.kind = record.kind;
  status.agent_id = record.agent.value;
  status.incarnation = static_cast<std::int64_t>(record.incarnation.value);
  status.address = record.address;
  status.connected = resource.connected;
  status.health.resource = record.name.value;
  if (link == nullptr || !link->is_connected()) {
    unreachable(link == nullptr ? Error{} : link->trouble(), record, status.health);
    return status;
  }
  for (const auto& health : link->health().resources) {
    if (health.resource == record.name.value) status.health = health;
  }
  return status;
}

}  // namespace

void AdministrationService::cluster_status(Answer<wire::ClusterStatus> answer, Refusal) {
  const auto& table = reigns_.serving().table();
  const auto counts = table.counts();
  const auto floors = table.floors();
  wire::ClusterStatus status;
  status.cluster = reigns_.cluster().value;
  status.epoch = reigns_.serving().header(AgentId{}).epoch;
  status.open_transactions = static_cast<std::int64_t>(counts.open);
  status.floor_epoch = floors.transactions.epoch.value;
  status.floor_sequence = static_cast<std::int64_t>(floors.transactions.sequence.value);
  status.request_floor_ms = static_cast<std::int64_t>(floors.request_ms);
  for (const auto& resource : table.resources()) {
    status.resources.push_back(status_of(resource, reigns_.serving().link(resource.record.agent)));
  }
  status.committed = static_cast<std::int64_t>(counts.committed);
  status.aborted = static_cast<std::int64_t>(counts.aborted);
  status.log_syncs = static_cast<std::int64_t>(log_syncs_());
  status.version = troth_version();
  status.clock_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  answer(status);
}

std::vector<wire::OpenTransaction> AdministrationService::open_transactions() const {
  std::vector<wire::OpenTransaction> open;
  for (const auto& report : reigns_.serving().open_transactions(kReportedTransactions)) {
    wire::OpenTransaction transaction;
    transaction.transaction_id = report.transaction.text();
    transaction.state = state_of(report.state);
    transaction.age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(report.age).count();
    for (const auto& branch : report.branches)
      transaction.branches.push_back(branch_of(branch));
    if (!report.label.empty()) transaction.__set_label(report.label);
    open.push_back(std::move(transaction));
  }
  return open;
}

void AdministrationService::in_doubt(Answer<wire::InDoubtReport> answer, Refusal refuse) {
  if (!reigns_.serving().table().knows_all_open()) {
    auto early =
        fail(ErrorCode::kUnavailable, Effect::kNone,
             "this reign has just begun, and the store has not told yet what earlier ones left open");
    early.error().retryable = true;
    return rpc::refuse_with(refuse, early.error());
  }
  const auto gathering = std::make_shared<Gathering>();
  gathering->answer = std::move(answer);
  gathering->report.transactions = open_transactions();
  for (const auto& [agent, link] : reigns_.serving().links()) {
    if (!link->is_connected()) {
      gathering->report.unreachable_agents.push_back(agent.value);
      continue;
    }
    ++gathering->waiting;
    link->status([gathering, agent = agent](Result<wire::AgentStatus> status) {
      if (status) {
        auto& branches = gathering->report.branches;
        branches.insert(branches.end(), status->in_doubt.begin(), status->in_doubt.end());
      } else {
        gathering->report.unreachable_agents.push_back(agent.value);
      }
      gathering->one_done();
    });
  }
  gathering->one_done();
}

// What this coordinator knew of the branch when it was told to end it.
std::string AdministrationService::before_resolve(const ResolveRequested& resolution) const {
  for (const auto& report : reigns_.serving().open_transactions(kReportedTransactions)) {
    if (report.transaction != resolution.transaction) continue;
    for (const auto& branch : report.branches) {
      if (branch.branch == resolution.branch)
        return fmt::format("transaction {}, branch {}", name_of(report.state), branch.state);
    }
  }
  return "not open at the coordinator";
}

void AdministrationService::resolve(Answer<wire::ResolveReply> answer, Refusal refuse,
                                    const wire::ResolveRequest& request) {
  if (const auto own = gate_.check_operator(request.operator_name); !own)
    return rpc::refuse_with(refuse, own.error());
  auto id = TransactionId::parse(request.transaction_id);
  if (!id) return rpc::refuse_with(refuse, id.error());
  auto resource = parse_resource_name(request.resource);
  if (!resource) return rpc::refuse_with(refuse, resource.error());
  if (const auto checked = check_resolution(request); !checked)
    return rpc::refuse_with(refuse, checked.error());
  ResolveRequested resolution;
  resolution.transaction = *std::move(id);
  resolution.resource = *std::move(resource);
  resolution.branch = BranchNumber{static_cast<std::uint32_t>(request.branch)};
  resolution.commit = request.commit;
  resolution.reason = request.reason;
  resolution.operator_name = request.operator_name;
  const auto audit = [path = audit_path_, request, caller = rpc::current_caller_text()](
                         std::string_view action, std::string_view key, std::string_view value) {
    return append_audit(path, wall_now(), action,
                        {{"transaction", request.transaction_id},
                         {"branch", request.branch},
                         {"resource", request.resource},
                         {"outcome", request.commit ? "commit" : "rollback"},
                         {"operator", request.operator_name},
                         {"reason", request.reason},
                         {key, value},
                         {"caller", caller}});
  };
  if (const auto written = audit("resolve", "before", before_resolve(resolution)); !written) {
    return rpc::refuse_with(refuse, written.error());
  }
  reigns_.serving().resolve(
      resolution, [audit, answer = std::move(answer), refuse = std::move(refuse)](const auto& report) {
        const auto written = audit("resolve-done", "after",
                                   report ? fmt::format("{}: {}", name_of(report->state), report->detail)
                                          : "refused: " + report.error().message);
        if (!written) log_error("audit trail", {{"why", written.error().message}});
        if (!report) return rpc::refuse_with(refuse, report.error());
        wire::ResolveReply reply;
        reply.state = name_of(report->state);
        reply.detail = report->detail;
        answer(reply);
      });
}

// ---- the group

void AdministrationService::group_status(Answer<wire::GroupStatus> answer, Refusal refuse) {
  if (group_ == nullptr) return rpc::refuse_with(refuse, alone().error());
  answer(group_->status());
}

Status AdministrationService::check_group_change(const std::string& operator_name,
                                                 const std::string& reason) const {
  if (group_ == nullptr) return alone();
  if (auto own = gate_.check_operator(operator_name); !own) return own;
  return check_operators_words(operator_name, reason);
}

// The line before is written here.
GroupAdministration::Done AdministrationService::audited(Answer<wire::GroupStatus> answer, Refusal refuse,
                                                         std::string action, std::string what,
                                                         std::string operator_name,
                                                         std::string reason) const {
  return
      [path = audit_path_, answer = std::move(answer), refuse = std::move(refuse), action = std::move(action),
       what = std::move(what), operator_name = std::move(operator_name), reason = std::move(reason),
       caller = rpc::current_caller_text()](const Result<wire::GroupStatus>& outcome) {
        const auto written =
            append_audit(path, wall_now(), action + "-done",
                         {{"what", what},
                          {"operator", operator_name},
                          {"reason", reason},
                          {"after", outcome ? std::string("done") : "refused: " + outcome.error().message},
                          {"caller", caller}});
        if (!written) log_error("audit trail", {{"why", written.error().message}});
        if (!outcome) return rpc::refuse_with(refuse, outcome.error());
        answer(*outcome);
      };
}

void AdministrationService::change_group(Answer<wire::GroupStatus> answer, Refusal refuse,
                                         const wire::ChangeGroupRequest& request) {
  if (const auto allowed = check_group_change(request.operator_name, request.reason); !allowed)
    return rpc::refuse_with(refuse, allowed.error());
  const auto what = fmt::format("voters {}; learners {}; write {}, elect {}, read {}",
                                fmt::join(request.voters, ", "), fmt::join(request.learners, ", "),
                                request.write_quorum, request.elect_quorum, request.read_quorum);
  const auto written = append_audit(audit_path_, wall_now(), "change-group",
                                    {{"what", what},
                                     {"operator", request.operator_name},
                                     {"reason", request.reason},
                                     {"caller", rpc::current_caller_text()}});
  if (!written) return rpc::refuse_with(refuse, written.error());
  group_->change(request, audited(std::move(answer), std::move(refuse), "change-group", what,
                                  request.operator_name, request.reason));
}

void AdministrationService::transfer_lead(Answer<wire::GroupStatus> answer, Refusal refuse,
                                          const wire::TransferLeadRequest& request) {
  if (const auto allowed = check_group_change(request.operator_name, request.reason); !allowed)
    return rpc::refuse_with(refuse, allowed.error());
  const auto what = fmt::format("to replica {}", request.to);
  const auto written = append_audit(audit_path_, wall_now(), "transfer-lead",
                                    {{"what", what},
                                     {"operator", request.operator_name},
                                     {"reason", request.reason},
                                     {"caller", rpc::current_caller_text()}});
  if (!written) return rpc::refuse_with(refuse, written.error());
  group_->transfer({static_cast<std::uint32_t>(request.to)},
                   audited(std::move(answer), std::move(refuse), "transfer-lead", what, request.operator_name,
                           request.reason));
}

}  // namespace troth::coordinator
