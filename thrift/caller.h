// thrift/caller.h
//
// Who is on the other side of a connection, as its certificate says: one role and one name.
//
//   subject: OU = troth-service, CN = payments          the service "payments"
//   subject: OU = troth-agent,   CN = accounts-x7k2p9   the agent of that id
//
// The subject, and not a URI in an extension, because `openssl req -subj` and every company's CA make it without a
// configuration file. Other OU values stand beside ours undisturbed; two of ours are no role at all.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace troth::rpc {

enum class Role : std::uint8_t {
  kService,      // calls transactions
  kOperator,     // calls the administration
  kAgent,        // registers and inquires
  kCoordinator,  // drives branches
};
inline constexpr std::array kRoles = {Role::kService, Role::kOperator, Role::kAgent, Role::kCoordinator};

[[nodiscard]] std::string_view name_of(Role role);

// A small set of roles.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles)
      bits_ |= bit(role);
  }
  [[nodiscard]] constexpr bool contains(Role role) const { return (bits_ & bit(role)) != 0; }
  [[nodiscard]] std::string text() const;  // "service or operator"
  bool operator==(const Roles&) const = default;

 private:
  static constexpr unsigned bit(Role role) { return 1U << static_cast<unsigned>(role); }
  unsigned bits_ = 0;
};

struct Caller {
  Role role = Role::kService;
  std::string name;
  [[nodiscard]] std::string text() const;  // "service/payments"
  auto operator<=>(const Caller&) const = default;
};

// Of a certificate's subject. Refuses a subject without exactly one role and one name of 1 to 64 letters, digits,
// '-', '_' and '.' (permission_denied, effect none).
[[nodiscard]] Result<Caller> caller_of(std::span<const std::string> organizational_units,
                                       std::span<const std::string> common_names);

// Whether a certificate of this name may speak for this agent: its whole id, or the name it was given at `init`, which
// is the id without its last six characters and their '-'.
[[nodiscard]] bool is_name_of_agent(std::string_view certificate_name, std::string_view agent_id);

}  // namespace troth::rpc
