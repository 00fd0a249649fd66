// bench/runtime/troth_teller.h
//
// The same transfer through Troth: one `execute` on the generated stock Thrift client, framed transport, one
// connection for each client, as a service in any language would do it.
#pragma once

#include "bench/report.h"
#include "bench/runtime/stage.h"
#include "bench/runtime/teller.h"

namespace troth::bench {

// Connects (unavailable, effect none). The stage must name Troth.
[[nodiscard]] Result<std::unique_ptr<Teller>> open_troth_teller(const Stage& stage,
                                                                Acknowledgement acknowledgement, int client);

}  // namespace troth::bench
