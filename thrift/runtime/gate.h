// thrift/runtime/gate.h
//
// Who may call what on a server, and the lines that it leaves in the audit trail: one for each call of an operator, one
// for each call that is denied.
//
//   time=... action=denied method=resolve caller=service/payments peer=10.0.0.3:40112 why="..."
//   time=... action=called method=in_doubt caller=operator/alice peer=10.0.0.9:51002
//
// A caller who is denied without end fills no disk: past a few lines a second they are counted, and the next line says
// how many were left out. Without TLS nobody proves who they are, so nothing is denied here; what operators change is
// in the audit trail all the same, by the services that change it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/line_limit.h"
#include "thrift/runtime/server.h"

namespace troth::rpc {

class Gate {
 public:
  explicit Gate(std::string audit_path) : audit_path_(std::move(audit_path)) {}

  // For ServerOptions::authorize.
  [[nodiscard]] Status authorize(const CallContext& call);

  // Denies the call that is being dispatched, for what only its service can see. `effect` is the caller's to know.
  [[nodiscard]] std::unexpected<Error> deny(std::string why, Effect effect = Effect::kNone);

  // With TLS an operator acts under the name in the certificate.
  [[nodiscard]] Status check_operator(std::string_view operator_name);

  // Something was read again because of SIGHUP, or not: a line in the log, one in the audit trail.
  void note_reread(std::string_view what, const Status& outcome);

 private:
  void write_denial(const CallContext& call, const std::string& why);

  std::string audit_path_;
  static constexpr LineRate kDenialLines{50, 5};
  LineLimit denials_;
};

// The call that is being dispatched comes from here: null without TLS, or outside a call.
[[nodiscard]] const Caller* current_caller();
// The same for the audit trail: "operator/alice", or "unproven".
[[nodiscard]] std::string current_caller_text();

}  // namespace troth::rpc
