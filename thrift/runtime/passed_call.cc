#include "thrift/runtime/passed_call.h"

#include <utility>

#include "thrift/runtime/server_state.h"

namespace troth::rpc {

PassedCall::PassedCall(std::shared_ptr<ServerState> server, Server::Passed done)
    : server_(std::move(server)), done_(std::move(done)) {}

std::shared_ptr<PassedCall> PassedCall::begin(std::shared_ptr<ServerState> server, Server::Passed done) {
  const std::shared_ptr<PassedCall> call(new PassedCall(std::move(server), std::move(done)));
  call->self_ = call;
  return call;
}

void PassedCall::finish_call(const Ticket& /*ticket*/, Bytes frame) {
  ++server_->counts().answered;
  end(frame);
}

void PassedCall::refuse_call(const Ticket& ticket, const Error& error) {
  end(server_->refusal_of(ticket, error));
}

void PassedCall::fail_call(const Ticket& ticket, int type, const std::string& message) {
  end(server_->exception_of(ticket, type, message));
}

void PassedCall::end(Bytes frame) {
  const auto self = std::exchange(self_, nullptr);
  if (!server_->is_closed()) done_(frame);
}

}  // namespace troth::rpc
