#include "thrift/runtime/diverted_call.h"

#include <algorithm>
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

bool DivertedCall::is_answered_by(Bytes frame) const {
  if (frame.size() < kFrameLengthBytes) return false;
  const auto content = frame.subspan(kFrameLengthBytes);
  if (!std::ranges::equal(frame.first(kFrameLengthBytes),
                          frame_length(static_cast<std::uint32_t>(content.size()))))
    return false;
  const auto header = read_message_header(content);
  return header && header->encoding == ticket_.encoding && header->method == ticket_.method &&
         header->seqid == ticket_.seqid &&
         (header->kind == MessageKind::kReply || header->kind == MessageKind::kException);
}

void DivertedCall::answer(Bytes frame) {
  if (is_answered_by(frame)) return take_end()->finish_call(ticket_, frame);
  refuse(
      fail(ErrorCode::kInternal, Effect::kUnknown,
           fmt::format("whoever '{}' was passed on to sent back what is no answer to it: are both processes "
                       "of versions that work together?",
                       ticket_.method))
          .error());
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
