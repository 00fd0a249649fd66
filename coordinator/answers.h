// coordinator/answers.h
//
// The refusals that a client of a transaction can hear, worded once.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/decision_store/records.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

// Nothing of the transaction stands anywhere, and never will [T3].
[[nodiscard]] Answer aborted(const TransactionId& id, Error reason);
// A branch that met what an operator committed, or a bar's barrier, knows nothing of its request in other resources: an
// earlier attempt may stand there. Of its own attempt nothing stands either way.
[[nodiscard]] Effect effect_on_request(const Error& refused_by_branch);
// The call's time is up before the outcome is known [T4].
[[nodiscard]] Answer outcome_unknown(const TransactionId& id, const std::string& what_runs);
// Another transaction holds the request key with a commit.
[[nodiscard]] Answer already_committed(const store::StoredDecision& holder, const Digest& digest);
// The same where a resource's marker told it: one of several branches stands, the others may still be prepared.
[[nodiscard]] Answer already_committed(const TransactionId& marked);
[[nodiscard]] Error request_id_reused(const RequestKey& key, const TransactionId& holder);
[[nodiscard]] Error request_barred(const RequestKey& key);
// A request_id that is not yet due: kept by its own timestamp, it would be kept too long (attack 43).
[[nodiscard]] std::optional<Error> refuse_from_future(const RequestKey& key, WallTime now);

// An operating error of the coordinator's own making.
[[nodiscard]] Error refusal(ErrorCode code, Effect effect, std::string message, bool retryable = false);

}  // namespace troth::coordinator
