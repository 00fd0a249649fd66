#include "thrift/runtime/diverted_call.h"

#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "thrift/runtime/server_state.h"

namespace troth::rpc {

DivertedCall::DivertedCall(std::shared_ptr<ServerState> server, std::shared_ptr<CallEnd> end, Ticket ticket,
                           const CallContext& context, Bytes content)
    : server_(std::move(server)),
      end_(std::move(end)),
      ticket_(std::move(ticket)),
      peer_(context.peer),
      connection_(context.connection),
      content_(content.begin(), content.end()) {
  if (context.caller != nullptr) caller_ = *context.caller;
  server_->call_began();
  server_->change_buffered(static_cast<std::ptrdiff_t>(content_.size()), 0);
}

DivertedCall::~DivertedCall() {
  if (server_ == nullptr) return;
  refuse(fail(ErrorCode::kUnavailable, Effect::kUnknown,
              fmt::format("'{}' was dropped before it was answered: its effect is unknown", ticket_.method))
             .error());
}

Effect DivertedCall::effect_of_refusal() const {
  CHECK(server_ != nullptr, "'{}' has ended", ticket_.method);
  return server_->effect_of_refusal(ticket_, content_);
}

std::shared_ptr<CallEnd> DivertedCall::take_end() {
  CHECK(server_ != nullptr, "'{}' ends twice", ticket_.method);
  const auto server = std::exchange(server_, nullptr);
  server->change_buffered(-static_cast<std::ptrdiff_t>(content_.size()), 0);
  server->call_ended();
  return std::move(end_);
}

void DivertedCall::answer(Bytes frame) {
  take_end()->finish_call(ticket_, frame);
}

void DivertedCall::refuse(const Error& error) {
  take_end()->refuse_call(ticket_, error);
}

void DivertedCall::serve_here() {
  const auto server = server_;
  const auto end = take_end();
  const std::string method = ticket_.method;
  server->serve(end, std::move(ticket_), {method, peer_, connection_, caller_ ? &*caller_ : nullptr},
                content_);
}

}  // namespace troth::rpc
