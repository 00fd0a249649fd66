#include "thrift/caller.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth::rpc {
namespace {

constexpr std::string_view kPrefix = "troth-";
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kRandomPart = 7;  // of an agent's id: '-' and six characters

std::unexpected<Error> no_caller(std::string_view why) {
  return fail(ErrorCode::kPermissionDenied, Effect::kNone,
              fmt::format("the certificate names no caller of Troth: {}; its subject needs one OU of "
                          "troth-service, troth-operator, troth-agent or troth-coordinator, and one CN",
                          why));
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, fits);
}

std::optional<Role> role_named(std::string_view word) {
  for (const Role role : kRoles) {
    if (name_of(role) == word) return role;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kService: return "service";
    case Role::kOperator: return "operator";
    case Role::kAgent: return "agent";
    case Role::kCoordinator: return "coordinator";
  }
  return "invalid";
}

std::string Roles::text() const {
  std::string text;
  for (const Role role : kRoles) {
    if (!contains(role)) continue;
    if (!text.empty()) text += " or ";
    text += name_of(role);
  }
  return text;
}

std::string Caller::text() const {
  return fmt::format("{}/{}", name_of(role), name);
}

Result<Caller> caller_of(std::span<const std::string> organizational_units,
                         std::span<const std::string> common_names) {
  std::optional<Role> role;
  for (const std::string_view unit : organizational_units) {
    if (!unit.starts_with(kPrefix)) continue;
    if (role) return no_caller("it has two roles");
    role = role_named(unit.substr(kPrefix.size()));
    if (!role) return no_caller("its role is not known");
  }
  if (!role) return no_caller("it has no role");
  if (common_names.size() != 1) return no_caller("it has not exactly one CN");
  if (!is_name(common_names[0])) return no_caller("its CN is not 1 to 64 letters, digits, '-', '_' and '.'");
  return Caller{*role, common_names[0]};
}

bool is_name_of_agent(std::string_view certificate_name, std::string_view agent_id) {
  if (certificate_name.empty()) return false;
  if (certificate_name == agent_id) return true;
  return agent_id.size() == certificate_name.size() + kRandomPart && agent_id.starts_with(certificate_name) &&
         agent_id[certificate_name.size()] == '-';
}

}  // namespace troth::rpc
