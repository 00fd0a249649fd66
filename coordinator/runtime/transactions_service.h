// coordinator/runtime/transactions_service.h
//
// What services call (thrift/transactions.thrift), on a running coordinator.
#pragma once

#include "coordinator/runtime/grants.h"
#include "coordinator/runtime/reigns.h"
#include "coordinator/runtime/replica_reads.h"
#include "thrift/gen/Transactions.h"

namespace troth::coordinator {

class TransactionsService : public wire::TransactionsCobSvIf {
 public:
  // `reads`: of a group; null where there is one coordinator.
  TransactionsService(Reigns& reigns, const Grants& grants, ReplicaReads* reads,
                      std::function<wire::Hello()> own_hello)
      : reigns_(reigns), grants_(grants), reads_(reads), own_hello_(std::move(own_hello)) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void hello(Answer<wire::Hello> answer, Refusal refuse, const wire::Hello& hello) override;
  void execute(Answer<wire::ExecuteResult> answer, Refusal refuse,
               const wire::ExecuteRequest& request) override;
  void begin_transaction(Answer<wire::BeginResult> answer, Refusal refuse,
                         const wire::BeginRequest& request) override;
  void query(Answer<wire::QueryResult> answer, Refusal refuse, const wire::QueryRequest& request) override;
  void fetch(Answer<wire::QueryResult> answer, Refusal refuse, const wire::FetchRequest& request) override;
  void commit(Answer<wire::CommitResult> answer, Refusal refuse, const wire::CommitRequest& request) override;
  void rollback(Answer<wire::RollbackResult> answer, Refusal refuse,
                const wire::RollbackRequest& request) override;
  void status(Answer<wire::StatusReply> answer, Refusal refuse, const wire::StatusRequest& request) override;

 private:
  void run_statement(Answer<wire::QueryResult> answer, Refusal refuse, Result<StatementRequested> asked,
                     StatementPart part);

  Reigns& reigns_;
  void read_status(Answer<wire::StatusReply> answer, Refusal refuse, const wire::StatusRequest& request,
                   StatusRequested asked);
  // For a commit that is answered just now; empty: there is no group.
  [[nodiscard]] std::optional<std::string> session_token() const;

  const Grants& grants_;
  ReplicaReads* reads_;
  std::function<wire::Hello()> own_hello_;
};

}  // namespace troth::coordinator
