// thrift/runtime/call.h
//
// One call of a client, from its dispatch to its answer. Owned by the functions that the service was given to
// answer with, so that Thrift's generated code can write the answer whenever it comes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "thrift/message.h"
#include "thrift/runtime/codec.h"
#include "thrift/runtime/server.h"

namespace troth::rpc {

class ServerState;

// What is needed to answer a call when its message is gone.
struct Ticket {
  Encoding encoding = Encoding::kBinary;
  MessageKind kind = MessageKind::kCall;
  std::string method;
  std::int32_t seqid = 0;
  std::uint64_t turn = 0;  // of a call with seqid 0: its place in the order of answers
};

// Who sent a call, and gets its end: one of the three, once.
class CallEnd {
 public:
  CallEnd() = default;
  CallEnd(const CallEnd&) = delete;
  CallEnd& operator=(const CallEnd&) = delete;
  virtual ~CallEnd() = default;
  // `frame` is copied.
  virtual void finish_call(const Ticket& ticket, Bytes frame) = 0;
  // No service saw it.
  virtual void refuse_call(const Ticket& ticket, const Error& error) = 0;
  // `type` as in write_application_exception.
  virtual void fail_call(const Ticket& ticket, int type, const std::string& message) = 0;
};

class Call {
 public:
  Call(std::weak_ptr<CallEnd> end, std::shared_ptr<GeneratedService> service,
       std::shared_ptr<ServerState> server, Ticket ticket);
  ~Call();  // unanswered: answers that the service dropped it
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  [[nodiscard]] const std::shared_ptr<ThriftProtocol>& answer_protocol() const { return writer_->protocol(); }

  // Thrift's code has written the answer (or there is none: oneway).
  void answered();
  void unreadable(const std::string& why);  // of its arguments
  // Instead of an answer; `type` as in write_application_exception. Only the first of the three does
  // anything.
  void failed(int type, const std::string& message);

 private:
  [[nodiscard]] bool finish();

  std::weak_ptr<CallEnd> end_;
  // Thrift's answering functions point into it.
  std::shared_ptr<GeneratedService> service_;
  std::shared_ptr<ServerState> server_;  // counts this call until it is done, its client gone or not
  // Written to by whoever still holds an answering function, even after the answer: lives as long as the
  // call.
  std::unique_ptr<MessageWriter> writer_;
  Ticket ticket_;
  bool done_ = false;
};

// Writers that are not in use, so that a call needs no new buffer.
class WriterPool {
 public:
  [[nodiscard]] std::unique_ptr<MessageWriter> take(Encoding encoding);
  void give_back(std::unique_ptr<MessageWriter> writer);

 private:
  std::vector<std::unique_ptr<MessageWriter>> binary_;
  std::vector<std::unique_ptr<MessageWriter>> compact_;
};

}  // namespace troth::rpc
