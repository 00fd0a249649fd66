// thrift/runtime/passed_call.h
//
// The end of a call that another process has passed on: its answer goes back there as a frame.
#pragma once

#include <memory>
#include <string>

#include "thrift/runtime/call.h"
#include "thrift/runtime/server.h"

namespace troth::rpc {

class PassedCall final : public CallEnd {
 public:
  // It lives until its call has ended, and every call ends.
  [[nodiscard]] static std::shared_ptr<PassedCall> begin(std::shared_ptr<ServerState> server,
                                                         Server::Passed done);

  void finish_call(const Ticket& ticket, Bytes frame) override;
  void refuse_call(const Ticket& ticket, const Error& error) override;
  void fail_call(const Ticket& ticket, int type, const std::string& message) override;

 private:
  PassedCall(std::shared_ptr<ServerState> server, Server::Passed done);
  void end(Bytes frame);

  std::shared_ptr<ServerState> server_;
  Server::Passed done_;
  std::shared_ptr<PassedCall> self_;
};

}  // namespace troth::rpc
