// recovery/runtime/peers.h
//
// The processes that the tool asks. Each greets the other side first, so that a wrong port or another version
// of the contract is told as what it is.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "recovery/runtime/commands.h"
#include "thrift/runtime/blocking_channel.h"

namespace troth::recovery {

// How long the tool waits for an answer that should come at once.
inline constexpr Duration kPromptly = std::chrono::seconds(20);
// And for one that needs work in a database.
inline constexpr Duration kPatiently = std::chrono::minutes(2);

using Peer = std::unique_ptr<rpc::BlockingChannel>;

// Not connected yet: that happens with the first call. Refuses what is not host:port, and, for the
// coordinator, an address that was not given at all (invalid_argument, effect none).
[[nodiscard]] Result<Peer> channel_to_coordinator(const Surroundings& around);
[[nodiscard]] Result<Peer> channel_to_agent(const std::string& address, const Surroundings& around);

// The same two things for a caller with an event loop of its own.
[[nodiscard]] Result<rpc::Address> coordinator_at(const Surroundings& around);
[[nodiscard]] rpc::ChannelOptions greeting_of_coordinator(const Surroundings& around);

}  // namespace troth::recovery
