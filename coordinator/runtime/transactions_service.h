// coordinator/runtime/transactions_service.h
//
// What services call (thrift/transactions.thrift), on a running coordinator.
#pragma once

#include "coordinator/runtime/coordinator.h"
#include "thrift/gen/Transactions.h"

namespace troth::coordinator {

class TransactionsService : public wire::TransactionsCobSvIf {
 public:
  explicit TransactionsService(Coordinator& coordinator) : coordinator_(coordinator) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void hello(Answer<wire::Hello> answer, Refusal refuse, const wire::Hello& hello) override;
  void execute(Answer<wire::ExecuteResult> answer, Refusal refuse,
               const wire::ExecuteRequest& request) override;
  void status(Answer<wire::StatusReply> answer, Refusal refuse, const wire::StatusRequest& request) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace troth::coordinator
