// What a server does with a call, whoever brought it: a connection, or another process of the same group.
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "thrift/runtime/diverted_call.h"
#include "thrift/runtime/passed_call.h"
#include "thrift/runtime/server_state.h"

namespace troth::rpc {
namespace {

using apache::thrift::TApplicationException;

// The exception that every method declares has this field in every result (see thrift/common.thrift).
constexpr std::int16_t kErrorField = 1;

thread_local const CallContext* dispatched_call = nullptr;

class DispatchScope {
 public:
  explicit DispatchScope(const CallContext& context) : outer_(std::exchange(dispatched_call, &context)) {}
  ~DispatchScope() { dispatched_call = outer_; }
  DispatchScope(const DispatchScope&) = delete;
  DispatchScope& operator=(const DispatchScope&) = delete;

 private:
  const CallContext* outer_;
};

}  // namespace

const CallContext* current_call() {
  return dispatched_call;
}

// ---- a call

void ServerState::take_call(const std::shared_ptr<CallEnd>& end, Ticket ticket, const CallContext& context,
                            Bytes content) {
  const auto& divert = options_.divert;
  if (!divert.wanted || !divert.wanted(context, content))
    return serve(end, std::move(ticket), context, content);
  divert.take(std::make_unique<DivertedCall>(shared_from_this(), end, std::move(ticket), context, content));
}

void ServerState::serve(const std::shared_ptr<CallEnd>& end, Ticket ticket, const CallContext& context,
                        Bytes content) {
  auto service = find_service(ticket.method);
  if (service == nullptr) {
    return end->fail_call(
        ticket, TApplicationException::UNKNOWN_METHOD,
        fmt::format("no service here has a method '{}': is this the right address, and is the "
                    "server as new as the client?",
                    ticket.method));
  }
  if (options_.authorize) {
    if (auto allowed = options_.authorize(context); !allowed) {
      ++counts_.denied;
      allowed.error().effect = effect_of_refusal(ticket, content);
      return end->refuse_call(ticket, allowed.error());
    }
  }
  auto& in = reader(ticket.encoding);
  const auto call = std::make_shared<Call>(end, service, shared_from_this(), std::move(ticket));
  const DispatchScope scope(context);
  try {
    service->process(
        [call, &in](bool was_read) {
          // Thrift says false only before the service was called.
          if (was_read)
            call->answered();
          else
            call->unreadable(in.refusal());
        },
        in.begin(content), call->answer_protocol());
  } catch (const std::exception& problem) {
    call->failed(TApplicationException::INTERNAL_ERROR,
                 fmt::format("'{}' failed: {}", context.method, problem.what()));
  } catch (...) {
    call->failed(TApplicationException::INTERNAL_ERROR, fmt::format("'{}' failed", context.method));
  }
}

void ServerState::take_passed(const CallContext& context, Bytes content, Server::Passed done) {
  const auto header = read_message_header(content);
  if (!header || header->kind != MessageKind::kCall) {
    ++counts_.malformed;
    return done(
        fail(ErrorCode::kInvalidArgument, Effect::kNone, "what was passed on is no call of Thrift's"));
  }
  Ticket ticket{header->encoding, header->kind, std::string(header->method), header->seqid, 0};
  if (draining_ || closed_) return done(std::unexpected(closing(ticket, content)));
  const auto end = PassedCall::begin(shared_from_this(), std::move(done));
  if (auto full = what_is_full()) {
    ++counts_.overloaded;
    return end->refuse_call(ticket, overloaded(ticket, content, *std::move(full)));
  }
  serve(end, std::move(ticket), context, content);
}

// ---- refusals

std::optional<std::string> ServerState::what_is_full() const {
  if (!has_room_for_call()) return fmt::format("{} calls are in flight (max_calls)", options_.max_calls);
  if (is_out_of_memory()) return "the server's memory for requests and replies is full (max_buffered_bytes)";
  return std::nullopt;
}

Effect ServerState::effect_of_refusal(const Ticket& ticket, Bytes content) const {
  const auto& tell = options_.effect_of_refusal;
  return tell ? tell(ticket.method, content) : Effect::kNone;
}

Error ServerState::overloaded(const Ticket& ticket, Bytes content, std::string what) const {
  Error error;
  error.code = ErrorCode::kOverloaded;
  error.effect = effect_of_refusal(ticket, content);
  error.retryable = true;
  error.retry_after = options_.retry_after;
  error.message = fmt::format("{}: retry '{}' in {} ms", what, ticket.method, options_.retry_after.count());
  return error;
}

Error ServerState::closing(const Ticket& ticket, Bytes content) const {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = effect_of_refusal(ticket, content);
  error.retryable = true;
  error.retry_after = options_.retry_after;
  error.message = "the server is shutting down: call another one, or this one later";
  return error;
}

Bytes ServerState::refusal_of(const Ticket& ticket, const Error& error) {
  const auto& write_error = options_.write_error;
  if (!write_error) return exception_of(ticket, TApplicationException::INTERNAL_ERROR, error.message);
  auto& writer = refusal_writer(ticket.encoding);
  auto& out = *writer.protocol();
  out.writeMessageBegin(ticket.method, apache::thrift::protocol::T_REPLY, ticket.seqid);
  out.writeStructBegin("result");
  out.writeFieldBegin("error", apache::thrift::protocol::T_STRUCT, kErrorField);
  write_error(out, error);
  out.writeFieldEnd();
  out.writeFieldStop();
  out.writeStructEnd();
  out.writeMessageEnd();
  return writer.frame();
}

Bytes ServerState::exception_of(const Ticket& ticket, int type, const std::string& message) {
  auto& writer = refusal_writer(ticket.encoding);
  write_application_exception(writer, ticket.method, ticket.seqid, type, message);
  return writer.frame();
}

}  // namespace troth::rpc
