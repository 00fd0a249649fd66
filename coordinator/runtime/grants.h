// coordinator/runtime/grants.h
//
// What each caller of transactions may use, and under which name: closed by default.
//
//   service    acts under the name in its certificate, and uses the resources of its [[services]] entry; without one none
//   operator   executes under the name in the certificate, on `operator_resources`; asks about and bars every request
//   no TLS     everything: only this machine reaches the coordinator
//
// Refused before anything runs, with a line in the audit trail.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/runtime/settings.h"
#include "thrift/gen/transactions_types.h"
#include "thrift/runtime/gate.h"

namespace troth::coordinator {

class Grants {
 public:
  Grants(const CoordinatorSettings& settings, rpc::Gate& gate);

  // Of the call that is being dispatched.
  [[nodiscard]] Status check(const wire::ExecuteRequest& request) const;
  [[nodiscard]] Status check(const wire::StatusRequest& request) const;
  [[nodiscard]] Status check(const wire::BeginRequest& request) const;
  [[nodiscard]] Status check(const wire::QueryRequest& request) const;
  [[nodiscard]] Status check(const wire::FetchRequest& request) const;
  [[nodiscard]] Status check(const wire::CommitRequest& request) const;
  [[nodiscard]] Status check(const wire::RollbackRequest& request) const;

 private:
  // `effect`: what is known of the call when it is denied.
  [[nodiscard]] Status check_client(std::string_view client_name, Effect effect) const;
  [[nodiscard]] Status check_resource(const std::string& resource, Effect effect) const;
  using Resources = std::set<std::string, std::less<>>;
  [[nodiscard]] const Resources* resources_of(const rpc::Caller& caller) const;

  std::map<std::string, Resources, std::less<>> services_;
  Resources operators_;
  rpc::Gate& gate_;
};

}  // namespace troth::coordinator
