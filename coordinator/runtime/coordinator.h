// coordinator/runtime/coordinator.h
//
// One reign in a running process: feeds the pure transaction table with calls, messages, the store's answers
// and time, and carries out what it says. Everything here runs on the event loop's thread.
//
// It keeps the table's duties D1 to D6 (coordinator/table_messages.h).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/runtime/alarm.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/runtime/agent_link.h"
#include "coordinator/runtime/calls.h"
#include "coordinator/runtime/metrics_table.h"
#include "coordinator/runtime/settings.h"
#include "coordinator/runtime/transaction_watch.h"
#include "coordinator/transaction_table.h"
#include "thrift/gen/administration_types.h"

namespace troth::coordinator {

class Coordinator {
 public:
  struct Events {
    std::function<void()> on_serving;           // the epoch is durable, what is open is being listed
    std::function<void(const Error&)> on_stop;  // this reign is over for a reason: the process must end
    std::function<void()> on_drained;
  };

  // `tls`: for the connections to agents; null: plain ones, to this machine only.
  Coordinator(asio::io_context& loop, ClusterId cluster, const CoordinatorSettings& settings, Events events,
              std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>(coordinator_metrics()),
              rpc::TlsPointer tls = nullptr);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Acquires an epoch and begins to serve; the store's answers come to store_answered().
  void start(store::DecisionStore& store, Nonce nonce);
  void store_answered(store::Answered answered);
  void shut_down(Duration grace);
  // The reign is over, whatever runs: every call is answered with what is known of it, and no agent is called any more. Not
  // inside one of its events. It may be destroyed behind what is posted here, and nothing else may follow.
  void abandon(const Error& why);

  void execute(std::shared_ptr<const wire::ExecuteRequest> request, Work work,
               std::function<void(Answer)> answer);
  // `names`: a request without work, for lines about the transaction.
  void begin(std::shared_ptr<const wire::ExecuteRequest> names, Work work,
             std::function<void(Answer)> answer);
  void run_statement(StatementRequested request, StatementPart part,
                     std::function<void(AnswerStatement)> answer);
  void commit(CommitRequested request, std::function<void(Answer)> answer);
  void roll_back(RollbackRequested request, std::function<void(Answer)> answer);
  void status(StatusRequested request, std::function<void(Result<StatusReport>)> answer);
  void register_agent(RegistrationRequested request, std::function<void(Result<AgentRegistered>)> answer);
  void inquire(const AgentId& agent, BranchId branch, std::function<void(Result<Inquired>)> answer);
  void resolve(ResolveRequested request, std::function<void(Result<ResolveReport>)> answer);

  // A call that was refused before it came here.
  void refused(const wire::ExecuteRequest& request, const Error& error) { watch_.refused(request, error); }
  [[nodiscard]] bool rules() const { return table_.has_value(); }
  [[nodiscard]] const TransactionWatch& watch() const { return watch_; }
  [[nodiscard]] std::size_t waiting_calls() const { return executes_.size(); }

  [[nodiscard]] const ClusterId& cluster() const { return cluster_; }
  [[nodiscard]] const TransactionTable& table() const { return *table_; }
  [[nodiscard]] std::vector<OpenTransactionReport> open_transactions(std::size_t limit) const;
  [[nodiscard]] wire::LeaderHeader header(const AgentId& agent) const;
  // Null while the agent was never registered.
  [[nodiscard]] AgentLink* link(const AgentId& agent);
  [[nodiscard]] const std::map<AgentId, std::unique_ptr<AgentLink>>& links() const { return links_; }

 private:
  void begin_reign(const store::EpochAcquired& reign);
  void step(TableInput input);
  void submit_asked();
  void link_agent(const AgentId& agent, const std::string& address);
  [[nodiscard]] wire::HeartbeatRequest heartbeat(const AgentId& agent) const;
  [[nodiscard]] CallId next_call() { return CallId{++last_call_}; }

  void carry_out_one(SendPrepare& send);
  void carry_out_one(SendStatement& send);
  void carry_out_one(SendCommit& send);
  void carry_out_one(SendRollback& send);
  void carry_out_one(SendRelease& send);
  void carry_out_one(SendSettle& send);
  void carry_out_one(AskStore& ask);
  void carry_out_one(AnswerExecute& answer);
  void carry_out_one(AnswerStatement& answer);
  void carry_out_one(AnswerStatus& answer);
  void carry_out_one(AnswerInquiry& answer);
  void carry_out_one(AnswerRegistration& answer);
  void carry_out_one(AnswerResolve& answer);
  void carry_out_one(SendResolve& send);
  void carry_out_one(StopServing& stop);
  void carry_out_one(DrainFinished& drained);
  [[nodiscard]] wire::LeaderHeader header(const Position& watermark) const;
  [[nodiscard]] wire::PrepareRequest prepare_message(const SendPrepare& send) const;

  asio::io_context& loop_;
  ClusterId cluster_;
  CoordinatorSettings settings_;
  Events events_;
  std::shared_ptr<Metrics> metrics_;
  TransactionWatch watch_;
  rpc::TlsPointer tls_;
  store::DecisionStore* store_ = nullptr;
  std::optional<TransactionTable> table_;
  std::vector<store::Asked> asked_;  // of the running step, submitted together

  std::uint64_t last_call_ = 0;
  std::unordered_map<std::uint64_t, ExecuteCall> executes_;
  std::unordered_map<std::uint64_t, StatementCall> statements_;
  std::unordered_map<std::uint64_t, EndingCall> endings_;
  WaitingCalls<Result<StatusReport>> statuses_;
  WaitingCalls<Result<InquiryDecision>> inquiries_;
  WaitingCalls<Result<std::map<ResourceName, ResourceNumber>>> registrations_;
  WaitingCalls<Result<ResolveReport>> resolves_;

  EpochNumber new_reign_;  // every message names it [T8]
  std::map<AgentId, std::unique_ptr<AgentLink>> links_;
  Alarm alarm_;
  std::deque<TableInput> inputs_;
  bool stepping_ = false;
  bool abandoned_ = false;
};

}  // namespace troth::coordinator
