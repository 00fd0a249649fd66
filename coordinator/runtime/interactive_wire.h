// coordinator/runtime/interactive_wire.h
//
// Between the contract's interactive calls and the coordinator's own words, as wire.h is for the others.
#pragma once

#include <string>

#include "base/result.h"
#include "coordinator/table_messages.h"
#include "coordinator/transaction.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::coordinator {

// Checks what a service sent, as far as the coordinator reads it. Every refusal is invalid_argument, effect none.
[[nodiscard]] Result<Work> work_of(const wire::BeginRequest& request);
[[nodiscard]] Result<StatementRequested> statement_of(const wire::QueryRequest& request);
[[nodiscard]] Result<StatementRequested> rows_of(const wire::FetchRequest& request);
[[nodiscard]] Result<CommitRequested> commit_of(const wire::CommitRequest& request);
[[nodiscard]] Result<RollbackRequested> rollback_of(const wire::RollbackRequest& request);

// What the caller of a statement adds to what the table says: the statement, or which rows of its answer.
struct StatementPart {
  std::optional<wire::Statement> statement;
  std::int64_t from_row = 0;
  std::int64_t page_rows = 0;
};
[[nodiscard]] wire::StatementRequest message_of(const SendStatement& send, const StatementPart& part,
                                                const wire::LeaderHeader& header);
// The prepare of an interactive branch.
[[nodiscard]] wire::PrepareRequest prepare_of(const SendPrepare& send, const wire::LeaderHeader& header);

[[nodiscard]] StatementAnswer answer_of(const wire::StatementReply& reply);
[[nodiscard]] wire::QueryResult result_of(const std::string& statement_result);
[[nodiscard]] wire::CommitResult commit_result_of(const Committed& committed);

// How a transaction that is not active any more answers a commit, and a rollback.
[[nodiscard]] Answer commit_answer_of(const TransactionId& id, const Result<StatusReport>& report);
[[nodiscard]] Answer rollback_answer_of(const TransactionId& id, const Result<StatusReport>& report);

}  // namespace troth::coordinator
