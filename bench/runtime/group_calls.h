// bench/runtime/group_calls.h
//
// What a load asks of a coordinator of a group, one call after the other, and the check of each answer. Every call has
// new content, so that none is answered from what another one left.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "thrift/runtime/channel.h"

namespace troth::bench {

enum class GroupCall : std::uint8_t {
  // The greeting: a round trip, and nothing is decided.
  kHello,
  // `status` with `bar` of a new request_id: one decision that the group chooses, and no resource is asked.
  kBar,
  // `execute` with a branch in each resource, answered when all have committed.
  kCommit,
  // The same, answered when it is decided.
  kDecide,
};

// hello, bar, commit, decide.
[[nodiscard]] std::vector<std::string> names_of_group_calls();
[[nodiscard]] GroupCall group_call_named(std::string_view name);

class GroupCaller {
 public:
  GroupCaller(GroupCall call, const std::vector<std::string>& resources)
      : call_(call), resources_(resources) {}

  // `done`: once, never inside this call. An answer that does not say what was asked for is an error (internal).
  void ask(rpc::Channel& channel, Duration timeout, std::function<void(Status)> done) const;

 private:
  void execute(rpc::Channel& channel, Duration timeout, std::function<void(Status)> done) const;

  GroupCall call_;
  std::vector<std::string> resources_;
};

}  // namespace troth::bench
