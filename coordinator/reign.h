// coordinator/reign.h
//
// The inside of the transaction table (transaction_table.h says what it promises). One class, its arms in files by subject:
//   reign.cc            the step, timers, what it reports
//   reign_admission.cc  from a call to a begun transaction
//   reign_interactive.cc  an active transaction's statements, commit and rollback
//   reign_driving.cc    between the protocol machines, the agents and the store
//   reign_questions.cc  status, inquiries, resolutions
//   reign_upkeep.cc     start, agents, ends, floors, shutdown
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "coordinator/admission.h"
#include "coordinator/ended_notices.h"
#include "coordinator/interactive_work.h"
#include "coordinator/one_phase_commit.h"
#include "coordinator/reign_purposes.h"
#include "coordinator/remembered_outcomes.h"
#include "coordinator/resource_registry.h"
#include "coordinator/retention.h"
#include "coordinator/status_query.h"
#include "coordinator/transaction_table.h"
#include "coordinator/two_phase_commit.h"
#include "coordinator/watermarks.h"

namespace troth::coordinator {

class TransactionTable::Reign {
 public:
  Reign(ClusterId cluster, const store::EpochAcquired& reign, TableLimits limits, std::uint64_t seed);

  [[nodiscard]] std::vector<TableEffect> step(Clocks clocks, TableInput input);
  [[nodiscard]] std::optional<Instant> next_due() const;
  [[nodiscard]] const Epoch& epoch() const { return epoch_; }
  [[nodiscard]] Position watermark(const AgentId& agent) const;
  [[nodiscard]] store::Floors floors() const { return retention_.floors(); }
  [[nodiscard]] store::Floors floors(const AgentId& agent) const;
  [[nodiscard]] std::vector<TransactionId> ended_to_tell(const AgentId& agent, std::size_t limit) const;
  [[nodiscard]] TableCounts counts() const;
  [[nodiscard]] bool knows_all_open() const { return open_is_listed_; }
  [[nodiscard]] std::vector<OpenTransactionReport> open_transactions(Clocks clocks, std::size_t limit) const;
  [[nodiscard]] std::vector<ResourceReport> resources() const;
  [[nodiscard]] std::map<ResourceName, ResourceBacklog> backlogs(Clocks clocks, std::size_t limit) const;
  [[nodiscard]] std::optional<OpenTransactionNames> names_of(const TransactionId& id) const;

 private:
  // ---- what there is
  struct Place {  // a branch's, as it was when its work was sent
    ResourceName resource;
    ResourceNumber number;
    AgentId agent;
    Incarnation incarnation;
  };
  using Protocol = std::variant<TwoPhaseCommit, OnePhaseCommit, InteractiveWork>;
  struct Open {
    TransactionId id;
    std::string client;
    std::optional<RequestKey> request;
    Digest digest;
    std::string label;
    std::size_t bytes = 0;
    CallId work_of;
    WallTime begun;
    Instant deadline;
    std::vector<Place> places;                  // by branch, from 1; empty when redriven
    std::vector<store::RecordBranch> recorded;  // once commit was proposed
    Protocol protocol;
    std::shared_ptr<const std::string> options;  // of an interactive one
    std::vector<std::uint32_t> statements;       // of its branches, once commit was called
    std::optional<Instant> due;
    bool undecided = true;  // counted as such
    bool ending = false;    // the store has been, or will be, told to end it
  };
  // A request whose key is being looked up; nothing has been begun.
  struct Asking {
    Work work;
    std::vector<Caller> callers;  // the first one's work is used
  };
  using Running = std::variant<CallId, Position>;  // asking, or open
  struct Registration {
    std::size_t unanswered = 0;
    std::map<ResourceName, ResourceNumber> numbers;
    std::optional<Error> refusal;
  };

  enum class Upkeep : std::uint8_t { kEnds, kRetention, kRedrive, kDrain };
  using TimerKey = std::variant<Position, CallId, Upkeep>;
  // ---- reign.cc
  void take(const TimePassed&);
  void take(StoreAnswered& answered);
  void set_timer(const TimerKey& key, std::optional<Instant>& armed, std::optional<Instant> due);
  void ask_store(Purpose purpose, store::Request request);
  void stop(Error reason);
  [[nodiscard]] Sequence next_sequence() const { return {last_sequence_.value + 1}; }

  // ---- reign_admission.cc
  void take(ExecuteRequested& requested);
  [[nodiscard]] Status check_room(const Work& work) const;
  [[nodiscard]] Status check_means(const Work& work) const;
  [[nodiscard]] bool join_running(const ExecuteRequested& requested, const Caller& caller);
  void refuse(CallId call, Error error);
  void refuse_to_join(CallId call);
  void refuse_to_share(const ExecuteRequested& requested);
  void answer_asking(const Asking& asking, const Answer& answer);
  void on(ForAdmission& purpose, store::StoreAnswer& answer);
  void admission_time_is_up(CallId call);
  [[nodiscard]] std::optional<Asking> take_asking(CallId call);
  void begin(Work work, std::vector<Caller> callers);
  [[nodiscard]] Protocol protocol_for(const TransactionId& id, const Work& work, const Caller& first) const;

  // ---- reign_interactive.cc
  void take(StatementRequested& requested);
  void take(StatementReplied& replied);
  void take(StatementFailed& failed);
  void take(const CommitRequested& requested);
  void take(const RollbackRequested& requested);
  [[nodiscard]] Open* find_active(const TransactionId& id);
  [[nodiscard]] Result<BranchNumber> branch_for(Open& open, const ResourceName& resource);
  void answer_statement(AnswerStatement answer);
  [[nodiscard]] static bool is_anothers(const Open& open, const std::string& client);
  void ask_outcome(CallId call, const TransactionId& id, Duration timeout);
  void commit_active(Open& open, const CommitRequested& requested);
  void send_statement(const Open& open, const InteractiveWork::SendStatement& send);

  // ---- reign_driving.cc
  void take(PrepareReplied& replied);
  void take(PrepareFailed& failed);
  void take(CommitReplied& replied);
  void take(SettleReplied& replied);
  void on(ForChoice& purpose, store::StoreAnswer& answer);
  void on(ForRecord& purpose, store::StoreAnswer& answer);
  [[nodiscard]] Open* find(const TransactionId& id);
  void drive(Open& open, const TwoPhaseCommit::Input& input);
  void drive(Open& open, const OnePhaseCommit::Input& input);
  void drive(Open& open, const InteractiveWork::Input& input);
  void drain(Open& open);
  void pass_time(Open& open);
  void lose_branch(Open& open, BranchNumber branch, const Error& reason);
  void carry_out(Open& open, const TwoPhaseCommit::Effect& effect);
  void carry_out(Open& open, const OnePhaseCommit::Effect& effect);
  void carry_out(Open& open, const InteractiveWork::Effect& effect);
  template <typename Machine>
  void drive_machine(Open& open, Machine& machine, const typename Machine::Input& input);
  void after_step(Open& open);
  void leave_undecided(Open& open);
  void close(const Open& open);
  void lose_votes(const AgentId& agent, std::optional<Incarnation> still_there, const Error& reason);
  void send_prepare(const Open& open, BranchNumber branch, bool one_phase);
  [[nodiscard]] std::optional<BranchAddress> address(const Open& open, BranchNumber branch) const;
  [[nodiscard]] const ResourceName& resource_of(const Open& open, BranchNumber branch) const;
  void settle(SettlePurpose purpose, const ResourceName& resource, std::optional<BranchId> branch,
              std::optional<RequestKey> request);
  void answer_call(CallId call, Answer answer);

  // ---- reign_questions.cc
  void take(StatusRequested& requested);
  void take(InquiryReceived& received);
  void take(ResolveRequested& requested);
  void on(ForInquiry& purpose, store::StoreAnswer& answer);
  void on(ForStatusRecord& purpose, store::StoreAnswer& answer);
  void on(ForBar& purpose, store::StoreAnswer& answer);
  void on(ForResolvedRecord& purpose, store::StoreAnswer& answer);
  void on(ForResolution& purpose, store::StoreAnswer& answer);
  [[nodiscard]] StatusReport report(const Open& open) const;
  [[nodiscard]] bool over_here(const TransactionId& id) const;
  void ask_status(StatusQuery::Options options);
  void drive_query(CallId call, const StatusQuery::Input& input);
  void write_resolution(ResolveRequested request, std::string decision, TransactionState state);
  [[nodiscard]] bool room_for_question() const;

  // ---- reign_upkeep.cc
  void take(const ServingStarted&);
  void take(const RegistrationRequested& requested);
  void take(const AgentConnected& connected);
  void take(const AgentLost& lost);
  void take(const EndedTaken& taken);
  void take(const ShutdownRequested& requested);
  void on(ForOpenList&, store::StoreAnswer& answer);
  void on(ForEndedList&, store::StoreAnswer& answer);
  void on(ForEnds& purpose, store::StoreAnswer& answer);
  void on(ForFloors&, store::StoreAnswer& answer);
  void on(ForRegistration& purpose, store::StoreAnswer& answer);
  void redrive(const store::StoredDecision& decision);
  void queue_end(const Open& open, bool heuristic);
  void keep_up(Upkeep upkeep);
  void send_ends();
  void raise_floors();
  void redrive_some();
  void end_drain();
  void finish_drain_if_idle();

  // ---- state
  const ClusterId cluster_;
  const TableLimits limits_;
  const Epoch epoch_;
  Random random_;
  Clocks clocks_;                     // of this step
  std::vector<TableEffect> effects_;  // of this step

  Admission admission_;
  ResourceRegistry registry_;
  Retention retention_;
  Watermarks watermarks_;
  EndedNotices notices_;
  RememberedOutcomes remembered_;

  Sequence last_sequence_;
  std::map<Position, Open> open_;
  std::map<CallId, Asking> asking_;
  std::map<RequestKey, Running> running_;  // undecided, or decided in this reign and not ended
  std::map<CallId, StatusQuery> queries_;
  std::map<CallId, Registration> registrations_;
  std::map<CallId, std::size_t> statements_;  // calls that wait for one, and their bytes
  std::size_t simple_questions_ = 0;          // inquiries and resolutions that wait for the store

  std::uint64_t last_ticket_ = 0;
  std::map<store::Ticket, Purpose> asked_;
  std::uint64_t last_settle_ = 0;
  std::map<SettleTicket, SettlePurpose> settles_;

  std::set<std::pair<Instant, TimerKey>> timers_;
  std::map<CallId, std::optional<Instant>> call_timers_;
  std::map<Upkeep, std::optional<Instant>> upkeep_timers_;

  std::vector<store::EndedRecord> ends_;                    // gathered, not yet told to the store
  std::set<std::pair<Position, BranchNumber>> to_redrive_;  // at agents that have returned
  std::set<ResourceName> registering_;
  std::set<RequestKey> barring_;  // by a status call that runs
  bool raising_floors_ = false;
  std::size_t waiting_calls_ = 0;  // execute calls not yet answered
  bool open_is_listed_ = false;    // all that earlier reigns left open is in `open_`
  bool draining_ = false;
  bool drained_ = false;
  std::optional<Error> stopped_;
  TableCounts counts_;
};

}  // namespace troth::coordinator
