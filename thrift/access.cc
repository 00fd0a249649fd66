#include "thrift/access.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace troth::rpc {
namespace {

using enum Role;
using enum MethodAccess::Audit;

constexpr std::array kTable = {
    // service Transactions. Every process of a cluster may ask which cluster this is.
    MethodAccess{"hello", {kService, kOperator, kAgent, kCoordinator}},
    MethodAccess{"execute", {kService, kOperator}},
    MethodAccess{"begin_transaction", {kService, kOperator}},
    MethodAccess{"query", {kService, kOperator}},
    MethodAccess{"fetch", {kService, kOperator}},
    MethodAccess{"commit", {kService, kOperator}},
    MethodAccess{"rollback", {kService, kOperator}},
    MethodAccess{"status", {kService, kOperator}},
    // service Administration
    MethodAccess{"cluster_status", {kOperator}, kByGate},
    MethodAccess{"in_doubt", {kOperator}, kByGate},
    MethodAccess{"resolve", {kOperator}, kByItself},
    MethodAccess{"group_status", {kOperator}, kByGate},
    MethodAccess{"change_group", {kOperator}, kByItself},
    MethodAccess{"transfer_lead", {kOperator}, kByItself},
    // service Directory
    MethodAccess{"register_agent", {kAgent}},
    MethodAccess{"inquire", {kAgent}},
    MethodAccess{"current_epoch", {kAgent, kCoordinator}},
    // service Replicas
    MethodAccess{"greet", {kCoordinator}},
    MethodAccess{"deliver", {kCoordinator}},
    MethodAccess{"pass_on", {kCoordinator}},
    // service Agent
    MethodAccess{"agent_hello", {kCoordinator, kOperator}},
    MethodAccess{"prepare", {kCoordinator}},
    MethodAccess{"run_statement", {kCoordinator}},
    MethodAccess{"commit_branch", {kCoordinator}},
    MethodAccess{"rollback_branch", {kCoordinator}},
    MethodAccess{"settle_branch", {kCoordinator}},
    MethodAccess{"heartbeat", {kCoordinator}},
    MethodAccess{"agent_status", {kCoordinator, kOperator}, kByGate},
    MethodAccess{"resolve_branch", {kCoordinator, kOperator}, kByItself},
    MethodAccess{"take_over_resource", {kOperator}, kByItself},
};

}  // namespace

std::span<const MethodAccess> access_table() {
  return kTable;
}

const MethodAccess* access_of(std::string_view method) {
  const auto* found = std::ranges::find(kTable, method, &MethodAccess::method);
  return found == kTable.end() ? nullptr : found;
}

Status check_access(const Caller& caller, std::string_view method) {
  const MethodAccess* access = access_of(method);
  if (access != nullptr && access->callers.contains(caller.role)) return {};
  return fail(ErrorCode::kPermissionDenied, Effect::kNone,
              fmt::format("{} may not call '{}': that needs a certificate with the role {}", caller.text(),
                          method, access == nullptr ? "of nobody" : access->callers.text()));
}

}  // namespace troth::rpc
