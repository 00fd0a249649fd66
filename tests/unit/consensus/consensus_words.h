// tests/unit/consensus/consensus_words.h
//
// Messages, records and effects of the replicated log in words, and back, for its scripts.
#pragma once

#include <string>

#include "coordinator/consensus/replica_steps.h"
#include "tests/unit/coordinator/script.h"

namespace troth::coordinator::consensus {

// "3.2": round 3 of replica 2.
[[nodiscard]] Ballot read_ballot(const std::string& text);
// What one replica says: "promise 3.2 chosen 4 accepted 5 in 1.3 x".
[[nodiscard]] Message read_message(Words& words);
[[nodiscard]] std::string write(const ReplicaEffect& effect);

}  // namespace troth::coordinator::consensus
