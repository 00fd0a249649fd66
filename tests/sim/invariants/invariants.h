// tests/sim/invariants/invariants.h
//
// What must be true whatever happened; one file each. Every check says in words what it found, for the trace's reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace troth::sim {

class Simulation;
struct RunEnd;
using Broken = std::vector<std::string>;

// Each database in which it should have committed has it, but for those in which a hand ended it otherwise.
[[nodiscard]] bool agrees(const std::set<std::size_t>& reached, const std::set<std::size_t>& otherwise,
                          const std::set<std::size_t>& wanted);
// Every branch of a transaction commits, or none does.
void check_agreement(const RunEnd& end, Broken& broken);
// [T3] Who was told "committed" finds it committed; what was told "not committed" is committed nowhere.
void check_tellings(const RunEnd& end, Broken& broken);
// At most one commit per (client, request_id).
void check_one_commit_per_request(const RunEnd& end, Broken& broken);
// Every balance is what the committed transfers made of it; the total never changes.
void check_money(const RunEnd& end, Broken& broken);

// Once everything has ended: the store holds nothing open, and no journal says of a branch what its database denies [T6].
void check_logs(Simulation& simulation, Broken& broken);

// `ended`: the liveness phase came to its end.
[[nodiscard]] Broken broken_invariants(Simulation& simulation, bool ended);
// Why the liveness phase did not come to its end.
[[nodiscard]] std::string what_is_left(const RunEnd& end);
[[nodiscard]] std::uint64_t committed_transfers(const Simulation& simulation);

}  // namespace troth::sim
