#include "thrift/runtime/contract.h"

#include <fmt/format.h>

#include "base/version.h"

namespace troth::rpc {

wire::Hello hello_of(std::string_view program, const ClusterId& cluster) {
  wire::Hello hello;
  hello.version = kContractVersion;
  hello.program = fmt::format("{} {}", program, troth_version());
  hello.cluster = cluster.value;
  return hello;
}

Status check_hello(const wire::Hello& peer, const ClusterId& cluster) {
  if (peer.version < kOldestContractVersion || peer.version > kContractVersion + 1) {
    return fail(
        ErrorCode::kStale, Effect::kNone,
        fmt::format("{} speaks version {} of the contract, this process {} to {}: upgrade one step at a time",
                    peer.program, peer.version, kOldestContractVersion, kContractVersion));
  }
  if (!peer.cluster.empty() && !cluster.value.empty() && peer.cluster != cluster.value) {
    return fail(ErrorCode::kNotOwner, Effect::kNone,
                fmt::format("{} belongs to cluster {}, this process to {}: check the configured addresses",
                            peer.program, peer.cluster, cluster.value));
  }
  return {};
}

}  // namespace troth::rpc
