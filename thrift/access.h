// thrift/access.h
//
// Which roles may call which method: the one table for every process. A method that is missing here may be called by
// nobody where TLS is on, and a test says so (tests/unit/thrift_contract).
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "thrift/caller.h"

namespace troth::rpc {

struct MethodAccess {
  std::string_view method;
  Roles callers;
  // Each call of an operator leaves a line in the audit trail. Those that change something write their own, with the
  // reason and what came of it; a call that only looks is written down by the gate.
  enum class Audit : std::uint8_t { kNone, kByGate, kByItself } audit = Audit::kNone;
};

[[nodiscard]] std::span<const MethodAccess> access_table();

// Null for a method that the table does not name.
[[nodiscard]] const MethodAccess* access_of(std::string_view method);

// May this caller call this method at all? (permission_denied, effect none.)
[[nodiscard]] Status check_access(const Caller& caller, std::string_view method);

}  // namespace troth::rpc
