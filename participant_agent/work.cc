#include "participant_agent/work.h"

#include <fmt/format.h>

#include "participant_agent/dialect/statement_class.h"

namespace troth::agent {

std::string_view name_of(Vote vote) {
  switch (vote) {
    case Vote::kYes: return "yes";
    case Vote::kNo: return "no";
    case Vote::kReadOnly: return "read-only";
    case Vote::kCommitted: return "committed";
    case Vote::kAlreadyCommitted: return "already committed";
    case Vote::kUndecided: return "undecided";
  }
  return "invalid";
}

std::string_view name_of(BranchEnd end) {
  switch (end) {
    case BranchEnd::kCommitted: return "committed";
    case BranchEnd::kRolledBack: return "rolled back";
    case BranchEnd::kUndecided: return "undecided";
    case BranchEnd::kLost: return "lost";
    case BranchEnd::kTooOld: return "too old";
    case BranchEnd::kHeuristicCommitted: return "heuristic committed";
    case BranchEnd::kHeuristicRolledBack: return "heuristic rolled back";
  }
  return "invalid";
}

namespace {

// True: it writes, or takes locks.
Result<bool> needs_marker(DatabaseKind kind, bool declared_read_only, const Statement& statement,
                          std::uint32_t number) {
  const auto what = classify(kind, statement.sql);
  if (!what) return std::unexpected(what.error());
  if (what->kind == StatementClass::Kind::kRead) return false;
  if (!declared_read_only) return true;
  auto refusal =
      fail(ErrorCode::kForbiddenStatement, Effect::kNone,
           fmt::format("statement {} writes or takes locks, but its branch is declared read-only", number));
  refusal.error().statement = number;
  return refusal;
}

}  // namespace

Result<bool> plan_statement(DatabaseKind kind, bool declared_read_only, const NumberedStatement& statement) {
  const std::vector<Statement> alone{*statement.statement};
  if (auto status = check_statements(kind, alone); !status) {
    status.error().statement = statement.number;
    return std::unexpected(std::move(status.error()));
  }
  return needs_marker(kind, declared_read_only, *statement.statement, statement.number);
}

Result<WorkPlan> plan_work(DatabaseKind kind, const Work& work) {
  if (work.announced_statements != work.statements.size()) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the prepare announces {} statements and carries {}", work.announced_statements,
                            work.statements.size()));
  }
  if (auto status = check_statements(kind, work.statements); !status) return std::unexpected(status.error());
  bool all_plain_reads = true;
  std::uint32_t number = 0;
  for (const auto& statement : work.statements) {
    const auto writes = needs_marker(kind, work.declared_read_only, statement, ++number);
    if (!writes) return std::unexpected(writes.error());
    all_plain_reads = all_plain_reads && !*writes;
  }
  WorkPlan plan;
  plan.read_only = all_plain_reads;
  plan.ties_session = dialect_of(kind).ties_prepared_branches();
  plan.may_turn_to_write = all_plain_reads && !work.declared_read_only;
  plan.holds_until_told = all_plain_reads && (work.isolation == Isolation::kRepeatableRead ||
                                              work.isolation == Isolation::kSerializable);
  return plan;
}

std::size_t size_of(const Work& work) {
  return sizeof(Work) + size_of(work.statements) + (work.request ? work.request->client.size() : 0) +
         work.label.size() + work.traceparent.size();
}

}  // namespace troth::agent
