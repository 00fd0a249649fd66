// participant_agent/runtime/agent.h
//
// A running agent: feeds the pure branch table with messages, what sessions came to, the journal's progress
// and time, and carries out what it says. Everything here runs on the event loop's thread.
//
// [T6] [T8] An answer that names a journal ticket leaves when everything up to it is on disk.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <asio/steady_timer.hpp>

#include "base/runtime/alarm.h"
#include "base/runtime/monitor.h"
#include "participant_agent/branch_table.h"
#include "participant_agent/runtime/coordinators.h"
#include "participant_agent/runtime/journal.h"
#include "participant_agent/runtime/resource.h"
#include "participant_agent/runtime/settings.h"

namespace troth::agent {

// Who asks for something by hand, and why.
struct OperatorWord {
  std::string name;
  std::string reason;
};

class Agent {
 public:
  struct Options {
    AgentSettings settings;
    AgentId agent;
    ClusterId cluster;
    rpc::Address address;  // where coordinators are told to call
    std::vector<Resource::Options> resources;
    std::string audit_path;
    std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>(agent_metrics());
    std::function<void(const Error&)> on_failure;  // the journal is lost: the process must end
  };
  using Refusal = std::function<void(const Error&)>;

  Agent(asio::io_context& loop, Options options, std::unique_ptr<Journal> journal, const JournalState& state,
        Coordinators& coordinators);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void start();
  // Lets running branches end for `grace`, then closes the sessions. Prepared branches stay prepared.
  void shut_down(Duration grace, std::function<void()> done);

  void prepare(const LeaderStamp& stamp, Work work, std::function<void(VoteAnswer)> answer, Refusal refuse);
  // `work`: what the branch is begun with, without its statements.
  void run_statement(const LeaderStamp& stamp, Work work, NumberedStatement statement,
                     std::function<void(StatementAnswer)> answer, Refusal refuse);
  void commit(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
              std::function<void(FinishAnswer)> answer, Refusal refuse);
  void roll_back(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
                 std::function<void(FinishAnswer)> answer, Refusal refuse);
  void settle(const LeaderStamp& stamp, const BranchId& id, const ResourceName& resource,
              std::function<void(FinishAnswer)> answer, Refusal refuse);
  void bar(const LeaderStamp& stamp, const RequestKey& request, const ResourceName& resource,
           std::function<void(RequestVerdict)> answer, Refusal refuse);
  void heartbeat(const LeaderSpoke& spoke, std::function<void(std::vector<TransactionId> ended_taken)> answer,
                 Refusal refuse);
  // An operator's: written to the audit trail before they are done, and again with what came of them.
  void resolve(const BranchId& id, const ResourceName& resource, ResolveRequested resolution,
               std::function<void(FinishAnswer)> answer, Refusal refuse);
  [[nodiscard]] Status take_over(const ResourceName& resource, const OperatorWord& word);

  // Brings gauges up to date.
  void refresh_metrics();
  // Heard by a leader, and every resource serves.
  [[nodiscard]] Readiness readiness() const;

  [[nodiscard]] const AgentId& id() const { return options_.agent; }
  [[nodiscard]] Incarnation incarnation() const { return incarnation_; }
  [[nodiscard]] const ClusterId& cluster() const { return options_.cluster; }
  [[nodiscard]] const BranchTable& table() const { return table_; }
  [[nodiscard]] const Journal& journal() const { return *journal_; }
  [[nodiscard]] ResourceHealth health_of(const Resource& resource) const;
  [[nodiscard]] const std::map<ResourceName, std::unique_ptr<Resource>>& resources() const {
    return resources_;
  }

 private:
  // A call that waits for its branch's answer, or for the table's refusal.
  template <typename Reply>
  struct Waiter {
    std::function<void(Reply)> answer;
    std::uint64_t call;
  };
  template <typename Reply>
  using Waiters = std::map<BranchId, std::vector<Waiter<Reply>>>;
  // What the step that runs now answers, if it was a call.
  struct CurrentCall {
    std::uint64_t number = 0;
    BranchId branch;
    Refusal refuse;
    std::function<void(std::vector<TransactionId>)> heartbeat;
    std::function<void(RequestVerdict)> bar;
  };

  void finish_call(const BranchId& id, TableInput input, std::function<void(FinishAnswer)> answer,
                   Refusal refuse);
  void step_for(CurrentCall call, TableInput input);
  void step(TableInput input);
  void journal_durable(JournalTicket through);
  // Now, or when everything up to the ticket is on disk.
  void after(JournalTicket ticket, std::function<void()> action);
  void append(const AppendJournal& append);
  void do_register();
  void outrun(const Error& why);
  void inquire(const BranchId& id, const ResourceName& resource);
  void settle_cut_tail_when_clear();
  [[nodiscard]] Status audit_configured_take_overs() const;
  void name_unconfigured_branches() const;
  void shut_down_when_idle();
  void finish_shut_down();
  [[nodiscard]] std::vector<JournalRecord> checkpoint() const;

  void carry_out(const ForBranch& effect);
  void carry_out(const AppendJournal& effect);
  void carry_out(const RefuseCall& effect);
  void carry_out(const AnswerHeartbeat& effect);
  void carry_out(const ConfirmEpoch& effect);
  void carry_out(const StopService& effect);
  void carry_out(const ResumeService& effect);
  void carry_out(const BarRequest& effect);
  void carry_out(const AnswerRequestBusy& effect);
  void carry_out(const RaiseFloors& effect);
  void carry_out(const DeleteMarkers& effect);
  void carry_out_branch(const BranchId& id, Resource& resource, const BranchEffect& effect);

  asio::io_context& loop_;
  Options options_;
  Incarnation incarnation_;
  Instant started_;
  std::optional<Instant> leader_heard_;  // last
  std::unique_ptr<Journal> journal_;
  Coordinators& coordinators_;
  BranchTable table_;
  std::map<ResourceName, std::unique_ptr<Resource>> resources_;

  std::uint64_t last_call_ = 0;
  CurrentCall current_;
  Waiters<VoteAnswer> prepares_;
  Waiters<StatementAnswer> statements_;
  Waiters<FinishAnswer> finishes_;
  std::multimap<JournalTicket, std::function<void()>> held_;

  std::deque<std::pair<CurrentCall, TableInput>> inputs_;
  bool stepping_ = false;
  Alarm alarm_;
  asio::steady_timer shutdown_timer_;
  std::function<void()> shut_down_done_;
};

}  // namespace troth::agent
