#include "coordinator/runtime/grants.h"

#include <fmt/format.h>

namespace troth::coordinator {
namespace {

constexpr std::string_view kEvery = "*";

}  // namespace

Grants::Grants(const CoordinatorSettings& settings, rpc::Gate& gate)
    : operators_(settings.operator_resources.begin(), settings.operator_resources.end()), gate_(gate) {
  for (const auto& service : settings.services)
    services_[service.name].insert(service.resources.begin(), service.resources.end());
}

const Grants::Resources* Grants::resources_of(const rpc::Caller& caller) const {
  if (caller.role == rpc::Role::kOperator) return &operators_;
  const auto found = services_.find(caller.name);
  return found == services_.end() ? nullptr : &found->second;
}

Status Grants::check_client(std::string_view client_name, Effect effect) const {
  const rpc::Caller* caller = rpc::current_caller();
  if (caller == nullptr || client_name == caller->name) return {};
  return gate_.deny(
      fmt::format("the certificate is {}'s, and the call's client_name is '{}': it must be '{}'",
                  caller->text(), client_name.substr(0, 64), caller->name),
      effect);
}

Status Grants::check_resource(const std::string& resource, Effect effect) const {
  const rpc::Caller* caller = rpc::current_caller();
  if (caller == nullptr) return {};
  const Resources* granted = resources_of(*caller);
  if (granted != nullptr && (granted->contains(resource) || granted->contains(kEvery))) return {};
  const bool is_operator = caller->role == rpc::Role::kOperator;
  auto denied = gate_.deny(
      fmt::format("{} may not use resource '{}': {} in the coordinator's configuration says what it may use",
                  caller->text(), resource.substr(0, 64),
                  is_operator ? std::string("operator_resources")
                              : fmt::format("[[services]] name = \"{}\"", caller->name)),
      effect);
  denied.error().resource = resource;
  return denied;
}

Status Grants::check(const wire::ExecuteRequest& request) const {
  // An earlier attempt may have been allowed what this one is not: nothing is said of it.
  const auto effect = request.__isset.request_id ? Effect::kUnknown : Effect::kNone;
  if (auto named = check_client(request.client_name, effect); !named) return named;
  for (const auto& branch : request.branches) {
    if (auto granted = check_resource(branch.resource, effect); !granted) return granted;
  }
  return {};
}

Status Grants::check(const wire::StatusRequest& request) const {
  const rpc::Caller* caller = rpc::current_caller();
  if (caller == nullptr || caller->role == rpc::Role::kOperator) return {};
  if (request.__isset.request_id) {
    if (auto named = check_client(request.client_name, Effect::kNone); !named) return named;
  }
  for (const auto& resource : request.bar_resources) {
    if (auto granted = check_resource(resource, Effect::kNone); !granted) return granted;
  }
  return {};
}

Status Grants::check(const wire::BeginRequest& request) const {
  return check_client(request.client_name, request.__isset.request_id ? Effect::kUnknown : Effect::kNone);
}

// A statement that is denied has not run, and its transaction goes on.
Status Grants::check(const wire::QueryRequest& request) const {
  if (auto named = check_client(request.client_name, Effect::kNone); !named) return named;
  return check_resource(request.resource, Effect::kNone);
}

Status Grants::check(const wire::FetchRequest& request) const {
  if (auto named = check_client(request.client_name, Effect::kNone); !named) return named;
  return check_resource(request.resource, Effect::kNone);
}

// An earlier call may have committed it.
Status Grants::check(const wire::CommitRequest& request) const {
  return check_client(request.client_name, Effect::kUnknown);
}

Status Grants::check(const wire::RollbackRequest& request) const {
  return check_client(request.client_name, Effect::kNone);
}

}  // namespace troth::coordinator
