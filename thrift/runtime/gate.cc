#include "thrift/runtime/gate.h"

#include <fmt/format.h>

#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "thrift/access.h"

namespace troth::rpc {

Status Gate::authorize(const CallContext& call) {
  if (call.caller == nullptr) return {};
  if (auto allowed = check_access(*call.caller, call.method); !allowed) {
    write_denial(call, allowed.error().message);
    return allowed;
  }
  const bool is_written =
      call.caller->role == Role::kOperator && access_of(call.method)->audit == MethodAccess::Audit::kByGate;
  if (!is_written) return {};
  return append_audit(audit_path_, wall_now(), "called",
                      {{"method", call.method}, {"caller", call.caller->text()}, {"peer", call.peer}},
                      AuditLine::kMayBeLost);
}

std::unexpected<Error> Gate::deny(std::string why, Effect effect) {
  if (const CallContext* call = current_call()) write_denial(*call, why);
  return fail(ErrorCode::kPermissionDenied, effect, std::move(why));
}

Status Gate::check_operator(std::string_view operator_name) {
  const Caller* caller = current_caller();
  if (caller == nullptr || caller->role != Role::kOperator || caller->name == operator_name) return {};
  return deny(
      fmt::format("the certificate is {}'s, and the call names the operator '{}': leave --operator out",
                  caller->text(), operator_name.substr(0, 64)));
}

void Gate::note_reread(std::string_view what, const Status& outcome) {
  if (outcome) {
    log_info("read again", {{"what", what}});
  } else {
    log_error("not read again: the old one stays in use", {{"what", what}, {"why", outcome.error().message}});
  }
  const auto written = append_audit(
      audit_path_, wall_now(), "reread",
      {{"what", what}, {"outcome", outcome ? "taken" : "kept the old one: " + outcome.error().message}});
  if (!written) log_error("audit trail", {{"why", written.error().message}});
}

void Gate::write_denial(const CallContext& call, const std::string& why) {
  const auto left_out = denials_.take(boot_now(), kDenialLines);
  if (!left_out) return;
  const auto written = append_audit(audit_path_, wall_now(), "denied",
                                    {{"method", call.method},
                                     {"caller", call.caller == nullptr ? "unproven" : call.caller->text()},
                                     {"peer", call.peer},
                                     {"why", why},
                                     {"left_out", *left_out}},
                                    AuditLine::kMayBeLost);
  if (!written) log_error("audit trail", {{"why", written.error().message}});
}

const Caller* current_caller() {
  const CallContext* call = current_call();
  return call == nullptr ? nullptr : call->caller;
}

std::string current_caller_text() {
  const Caller* caller = current_caller();
  return caller == nullptr ? "unproven" : caller->text();
}

}  // namespace troth::rpc
