// bench/runtime/handcoded_teller.h
//
// What a service would do without Troth: two pooled sessions, prepared statements, and the two databases' own
// two-phase commit, one step after the other. No coordinator keeps the decision: killed between the two
// commits it would leave one database changed and the other one not. That is the price of its speed, and why
// Troth exists.
#pragma once

#include "bench/runtime/stage.h"
#include "bench/runtime/teller.h"

namespace troth::bench {

// Opens both sessions (unavailable, effect none). `run` keeps the names of
// different rounds of this process apart: Postgres knows them on the whole server, whatever their database.
[[nodiscard]] Result<std::unique_ptr<Teller>> open_handcoded_teller(const Stage& stage, int run, int client);

}  // namespace troth::bench
