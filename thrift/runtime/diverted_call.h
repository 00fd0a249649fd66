// thrift/runtime/diverted_call.h
//
// A call that a server has taken off its connection and not given to a service yet: whoever it was diverted to passes it
// on to another process and brings back the answer, gives it back to be served here after all, or refuses it.
//
// It counts as a call in flight. Its client may be gone by the time it ends; then nothing is sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "thrift/caller.h"
#include "thrift/runtime/call.h"
#include "thrift/runtime/server.h"

namespace troth::rpc {

class DivertedCall {
 public:
  DivertedCall(std::shared_ptr<ServerState> server, std::shared_ptr<CallEnd> end, Ticket ticket,
               const CallContext& context, Bytes content);
  ~DivertedCall();  // not ended: refused, effect unknown
  DivertedCall(const DivertedCall&) = delete;
  DivertedCall& operator=(const DivertedCall&) = delete;

  [[nodiscard]] const std::string& method() const { return ticket_.method; }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] const std::optional<Caller>& caller() const { return caller_; }  // nullopt: without TLS
  [[nodiscard]] Bytes content() const { return content_; }                       // the message, as it came
  // Of a refusal before any service saw it, see ServerOptions::effect_of_refusal.
  [[nodiscard]] Effect effect_of_refusal() const;

  // One of these, once. `frame`: an answer to this very message, its length included; what is none would put its client's
  // stream out of step, and its client hears that the effect is unknown.
  void answer(Bytes frame);
  void refuse(const Error& error);
  void serve_here();

 private:
  [[nodiscard]] bool is_answered_by(Bytes frame) const;
  [[nodiscard]] std::shared_ptr<CallEnd> take_end();

  std::shared_ptr<ServerState> server_;  // null: ended
  std::shared_ptr<CallEnd> end_;
  Ticket ticket_;
  std::string peer_;
  std::uint64_t connection_;
  std::optional<Caller> caller_;
  std::vector<std::uint8_t> content_;
};

}  // namespace troth::rpc
