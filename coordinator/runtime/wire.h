// coordinator/runtime/wire.h
//
// Between the contract's types and the coordinator's own. Generated types stop here.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/table_messages.h"
#include "coordinator/transaction.h"
#include "thrift/gen/administration_types.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::coordinator {

// Checks what a service sent, as far as the coordinator reads it; statements and values are the agents' to
// check. Every refusal is invalid_argument, effect none.
[[nodiscard]] Result<Work> work_of(const wire::ExecuteRequest& request);
[[nodiscard]] Result<RequestKey> request_key_of(const std::string& client, const std::string& request_id);
[[nodiscard]] Result<StatusRequested> status_of(const wire::StatusRequest& request);
// Who says so and why go into a record of the decision log: they are there, are text, and are not long.
[[nodiscard]] Status check_operators_words(const std::string& operator_name, const std::string& reason);
[[nodiscard]] Status check_resolution(const wire::ResolveRequest& request);
[[nodiscard]] Result<RegistrationRequested> registration_of(const wire::RegisterRequest& request);

[[nodiscard]] wire::LeaderHeader header_of(const ClusterId& cluster, const Epoch& epoch,
                                           EpochNumber new_reign, const Position& watermark);

// One branch's part of `request`, as `send` tells it.
[[nodiscard]] wire::PrepareRequest prepare_of(const wire::ExecuteRequest& request, const SendPrepare& send,
                                              const wire::LeaderHeader& header);
[[nodiscard]] wire::FinishRequest finish_of(const BranchAddress& to, const wire::LeaderHeader& header);
[[nodiscard]] wire::ResolveBranchRequest resolve_of(const SendResolve& send);
[[nodiscard]] wire::SettleRequest settle_of(const SendSettle& send, const wire::LeaderHeader& header);

// A reply that makes no sense (a vote that does not exist, an id that does not parse) is an error, whose
// effect is unknown.
[[nodiscard]] Result<Vote> vote_of(wire::PrepareReply&& reply);
[[nodiscard]] BranchEnd end_of(wire::BranchEnd::type end);

[[nodiscard]] wire::ExecuteResult result_of(const Committed& committed);
[[nodiscard]] wire::TrothError error_of(const Failed& failed);
[[nodiscard]] wire::TransactionState::type state_of(TransactionState state);
[[nodiscard]] wire::StatusReply reply_of(const StatusReport& report);
[[nodiscard]] wire::Decision::type decision_of(InquiryDecision decision);
[[nodiscard]] wire::BranchStatus branch_of(const BranchReport& report);

}  // namespace troth::coordinator
