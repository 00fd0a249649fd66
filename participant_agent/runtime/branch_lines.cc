#include "participant_agent/runtime/branch_lines.h"

#include <string>
#include <vector>

#include "base/runtime/transaction_line.h"

namespace troth::agent {
namespace {

// Keeps the texts that the names refer to.
struct Names {
  std::string transaction;
  std::string request_id;
  TransactionNames names;

  Names(const BranchId& id, const Branch* branch) : transaction(id.transaction.text()) {
    names.transaction = transaction;
    if (branch == nullptr) return;
    const auto& work = branch->work();
    if (work.request) {
      request_id = work.request->id.text();
      names.client = work.request->client;
      names.request_id = request_id;
    }
    names.label = work.label;
    names.traceparent = work.traceparent;
  }
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;
};

std::int64_t ms_of(const std::optional<Duration>& duration) {
  return duration ? std::chrono::duration_cast<std::chrono::milliseconds>(*duration).count() : -1;
}

}  // namespace

void tell_vote(const Branch& branch, const VoteAnswer& vote) {
  static LogLimit refusals;
  static LogLimit undecided;
  if (!vote.refusal) return;
  const Names names(branch.id(), &branch);
  auto error = *vote.refusal;
  error.branch = branch.id().branch.value;
  error.resource = branch.resource().value;
  if (vote.vote == Vote::kUndecided)
    return log_failure(undecided, LogLevel::kWarning, "branch cannot tell its outcome", names.names, error);
  log_failure(refusals, LogLevel::kInfo, "branch refused", names.names, error);
}

void tell_inquiry(const Branch& branch) {
  static LogLimit limit;
  if (!log_enabled(LogLevel::kWarning)) return;
  const Names names(branch.id(), &branch);
  const auto waits_for = branch.describe();
  log_transaction(&limit, LogLevel::kWarning, "branch in doubt asks the coordinators", names.names,
                  {{"resource", branch.resource()},
                   {"branch", branch.id().branch},
                   {"state", branch.in_doubt_word()},
                   {"waiting_for", waits_for}});
}

void tell_end(const BranchId& id, const ResourceName& resource, const Branch* branch,
              const FinishAnswer& end) {
  switch (end.end) {
    case BranchEnd::kCommitted:
    case BranchEnd::kRolledBack:
    case BranchEnd::kUndecided: return;
    case BranchEnd::kLost:
    case BranchEnd::kTooOld:
    case BranchEnd::kHeuristicCommitted:
    case BranchEnd::kHeuristicRolledBack: break;
  }
  static LogLimit limit;  // each is asked for again until the coordinator has taken it
  const Names names(id, branch);
  log_transaction(
      &limit, LogLevel::kError, "branch did not end as the group decided", names.names,
      {{"resource", resource}, {"branch", id.branch}, {"end", name_of(end.end)}, {"detail", end.detail}});
}

void tell_slow_work(const BranchId& id, const ResourceName& resource, const Branch* branch, Duration queued,
                    const WorkTimes& times) {
  static LogLimit limit;
  const Names names(id, branch);
  log_transaction(&limit, LogLevel::kWarning, "slow branch", names.names,
                  {{"resource", resource},
                   {"branch", id.branch},
                   {"queue_ms", ms_of(queued)},
                   {"begin_ms", ms_of(times.begin)},
                   {"statements_ms", ms_of(times.statements)},
                   {"prepare_ms", ms_of(times.ending)}});
}

}  // namespace troth::agent
