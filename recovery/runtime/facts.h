// recovery/runtime/facts.h
//
// The tool's one conversion from the contract's types to the pure ones of recovery/.
#pragma once

#include "recovery/new_reign.h"
#include "recovery/open_work.h"
#include "thrift/gen/administration_types.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::recovery {

[[nodiscard]] Decision decision_of(wire::TransactionState::type state);
// "committed", "not committed", ..., as `status` says it.
[[nodiscard]] std::string_view name_of_state(wire::TransactionState::type state);
[[nodiscard]] std::string_view name_of_end(wire::BranchEnd::type end);
[[nodiscard]] OpenWorkFacts facts_of(const wire::InDoubtReport& report);
[[nodiscard]] AgentSeen seen_of(const wire::AgentStatus& status);

}  // namespace troth::recovery
