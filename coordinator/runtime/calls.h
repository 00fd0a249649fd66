// coordinator/runtime/calls.h
//
// The calls that wait for the transaction table's answer, by the CallId that the table knows them by.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/time.h"
#include "coordinator/runtime/interactive_wire.h"
#include "coordinator/table_messages.h"
#include "coordinator/transaction.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::coordinator {

template <typename Reply>
class WaitingCalls {
 public:
  using Answer = std::function<void(Reply)>;

  void add(CallId call, Answer answer) { waiting_.emplace(call.value, std::move(answer)); }

  // Each call is answered once; an id that is not known has been answered by a shutdown.
  void answer(CallId call, Reply reply) {
    const auto found = waiting_.find(call.value);
    if (found == waiting_.end()) return;
    const auto answer = std::move(found->second);
    waiting_.erase(found);
    answer(std::move(reply));
  }

  void answer_all(const std::function<Reply()>& reply) {
    for (auto& [call, answer] : std::exchange(waiting_, {}))
      answer(reply());
  }

 private:
  std::unordered_map<std::uint64_t, Answer> waiting_;
};

struct AgentRegistered {
  std::map<ResourceName, ResourceNumber> numbers;
  Epoch epoch;
};

// With the header of the reign that says so.
struct Inquired {
  InquiryDecision decision = InquiryDecision::kUndecided;
  wire::LeaderHeader header;
};

// An execute call also keeps its work, for the prepares that are made of it. A begin's request has names only.
struct ExecuteCall {
  std::shared_ptr<const wire::ExecuteRequest> request;
  std::function<void(Answer)> answer;
  Instant called;
};

// A commit or a rollback may come after its transaction has ended: the table then answers with how it did.
struct EndingCall {
  TransactionId transaction;
  bool commits = false;
  std::function<void(Answer)> answer;
  Instant called;
};

// A statement call keeps its statement, or which rows it asks for, for the message that is made of it.
struct StatementCall {
  std::shared_ptr<const StatementPart> part;
  std::function<void(AnswerStatement)> answer;
  Instant called;
};

}  // namespace troth::coordinator
