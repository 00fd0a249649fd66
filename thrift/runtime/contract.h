// thrift/runtime/contract.h
//
// `hello`: what two of Troth's processes tell each other before anything else on a connection.
#pragma once

#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "thrift/gen/common_types.h"

namespace troth::rpc {

// Versions N and N-1 work together during a rolling upgrade.
inline constexpr std::int32_t kContractVersion = 1;
inline constexpr std::int32_t kOldestContractVersion = 1;

[[nodiscard]] wire::Hello hello_of(std::string_view program, const ClusterId& cluster);

// Refuses a version that this one does not work with, and a peer of another cluster (stale, effect none). An
// empty cluster, on either side, is a peer that has none yet: a service, the tool, or a new agent.
[[nodiscard]] Status check_hello(const wire::Hello& peer, const ClusterId& cluster);

}  // namespace troth::rpc
