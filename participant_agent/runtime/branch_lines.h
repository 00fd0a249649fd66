// participant_agent/runtime/branch_lines.h
//
// The lines that an agent writes about a branch. Each names its transaction by all that is known of it: after a
// restart that is the id and the request_id.
#pragma once

#include "participant_agent/branch.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

void tell_vote(const Branch& branch, const VoteAnswer& vote);
// It has waited long enough to ask the coordinators how its transaction ended.
void tell_inquiry(const Branch& branch);
// Only of ends that an operator should know of.
void tell_end(const BranchId& id, const ResourceName& resource, const Branch* branch,
              const FinishAnswer& end);
void tell_slow_work(const BranchId& id, const ResourceName& resource, const Branch* branch, Duration queued,
                    const WorkTimes& times);

}  // namespace troth::agent
