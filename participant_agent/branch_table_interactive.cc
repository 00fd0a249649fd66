// What the branch table does with the statements of interactive branches.
#include <fmt/format.h>

#include "participant_agent/branch_table.h"
#include "participant_agent/refusal.h"

namespace troth::agent {

void BranchTable::on(const StatementArrived& input, Context& context) {
  if (!admit(input.stamp, context)) return;
  const Work& work = input.work;
  const auto refuse = [&](Error error) {
    error.resource = work.resource.value;
    error.branch = work.id.branch.value;
    refuse_call(std::move(error), context);
  };
  const auto known = known_branch(work);
  if (!known) return refuse(known.error());
  Entry* entry = *known;
  if (entry == nullptr) {
    if (const auto may = may_begin(work); !may) return refuse(may.error());
  }
  StatementRequested asked{input.statement, false, work.timeout};
  if (input.statement.statement) {
    // Refused here, it has not run, and the branch is as it was.
    const auto marks =
        plan_statement(resources_.at(work.resource).kind, work.declared_read_only, input.statement);
    if (!marks) return refuse(marks.error());
    const auto room = [&](const Branch& branch) {
      return branch.check_redo(*input.statement.statement, options_.limits.redo_bytes);
    };
    if (*marks) {
      const auto enough =
          entry == nullptr ? room(Branch(work, WorkPlan{}, options_.times)) : room(entry->branch);
      if (!enough) return refuse(enough.error());
    }
    if (auto error = overloaded(size_of(*input.statement.statement))) return refuse(*std::move(error));
    if (auto error = overloaded_with_answers(entry)) return refuse(*std::move(error));
    asked.marks = *marks;
  }
  if (entry == nullptr) entry = &add(Branch(work, WorkPlan{}, options_.times), context);
  step_branch(*entry, asked, context);
  if (entry->branch.phase() == Branch::Phase::kUnheard) drop(branches_.find(work.id));
}

std::optional<Error> BranchTable::overloaded_with_answers(const Entry* branch) const {
  const auto others = kept_bytes_ - (branch == nullptr ? 0 : branch->kept_bytes);
  if (others < options_.limits.kept_bytes) return std::nullopt;
  Error error =
      refusal(ErrorCode::kOverloaded, Effect::kNone,
              fmt::format("the agent keeps {} MiB of answers for open transactions: select less in each, or "
                          "commit sooner",
                          kept_bytes_ >> 20),
              true);
  error.retry_after = std::chrono::milliseconds(200);
  return error;
}

void BranchTable::give_up_open(EpochNumber newest, Context& context) {
  for (const auto& id : std::set<BranchId>(live_)) {
    auto& entry = branches_.at(id);
    if (id.transaction.epoch < newest && entry.branch.is_open())
      step_branch(entry, RollbackRequested{}, context);
  }
}

}  // namespace troth::agent
