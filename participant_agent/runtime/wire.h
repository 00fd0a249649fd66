// participant_agent/runtime/wire.h
//
// Between the contract's types and the agent's own. Generated types stop here.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "participant_agent/dialect/statement.h"
#include "participant_agent/table_messages.h"
#include "participant_agent/work.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::agent {

// A leader's header, and what it lets the agent refuse.
struct Leader {
  ClusterId cluster;
  Epoch epoch;
  Position watermark;
  EpochNumber new_reign;
};

// Every refusal of a malformed message is invalid_argument, effect none.
[[nodiscard]] Result<Leader> leader_of(const wire::LeaderHeader& header);
[[nodiscard]] Result<Work> work_of(const wire::PrepareRequest& request);
// What the statement's branch is begun with, and the statement.
[[nodiscard]] Result<Work> work_of(const wire::StatementRequest& request);
[[nodiscard]] Result<NumberedStatement> statement_of(const wire::StatementRequest& request);
[[nodiscard]] Result<BranchId> branch_of(const std::string& transaction, std::int32_t branch);
[[nodiscard]] Result<RequestKey> request_key_of(const wire::RequestKey& key);
[[nodiscard]] wire::RequestKey wire_of(const RequestKey& key);

[[nodiscard]] Result<Isolation> isolation_of(wire::Isolation::type isolation);
[[nodiscard]] wire::Isolation::type wire_of(Isolation isolation);
[[nodiscard]] Result<Digest> digest_of(const std::string& bytes);

// The statements of a branch, both ways: messages carry them, and so does the journal's redo.
[[nodiscard]] Result<std::vector<Statement>> statements_of(const wire::BranchWork& work);
[[nodiscard]] wire::BranchWork wire_of(const ResourceName& resource, const std::vector<Statement>& statements,
                                       bool read_only);

[[nodiscard]] wire::PrepareReply reply_of(const ResourceName& resource, VoteAnswer answer);
// Which rows of a kept answer are wanted; `count` 0: all behind `from`.
struct RowRange {
  std::uint64_t from = 0;
  std::uint64_t count = 0;
};
[[nodiscard]] wire::StatementReply reply_of(const ResourceName& resource, const StatementAnswer& answer,
                                            RowRange range);
[[nodiscard]] wire::BranchEnd::type wire_of(BranchEnd end);
[[nodiscard]] Result<BranchEnd> end_of(wire::BranchEnd::type end);
[[nodiscard]] GroupDecision decision_of(wire::Decision::type decision);

}  // namespace troth::agent
