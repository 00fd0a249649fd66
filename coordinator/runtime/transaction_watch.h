// coordinator/runtime/transaction_watch.h
//
// What the coordinator measures and tells of each transaction: the time of each step, how it came out, and a line
// for what an operator may want to look at. It decides nothing; the runtime tells it what it carries out.
//
//   called --admission--> begun --prepare--> proposed --choose--> chosen --commit--> acknowledged by all
//     '-------------------------------- whole: to the call's answer --------------------------------'
//
// A line about a transaction names it by its id, and by what its request says: client, request_id, label,
// traceparent. After a restart the last is not known any more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/runtime/metrics.h"
#include "base/runtime/transaction_line.h"
#include "base/time.h"
#include "coordinator/runtime/calls.h"
#include "coordinator/table_messages.h"
#include "coordinator/transaction_table.h"

namespace troth::coordinator {

class TransactionWatch {
 public:
  // A transaction whose call took at least `slow_after` gets a line; zero: none does.
  TransactionWatch(Metrics& metrics, Duration slow_after);

  // A call that never reached the table.
  void refused(const wire::ExecuteRequest& request, const Error& error);

  // `call` null: the transaction is interactive, and its statements have run.
  void preparing(const SendPrepare& send, const ExecuteCall* call);
  void asking(const AskStore& ask);
  void store_answered(const store::Answered& answered);
  // `table` knows the names of a transaction that this start did not begin.
  void commit_replied(const CommitReplied& replied, const ResourceName& resource,
                      const TransactionTable& table);
  void answering(const Answer& answer, const ExecuteCall& call);
  // Of interactive transactions: a statement, and their commit or rollback.
  void answering(const AnswerStatement& answer, const StatementCall& call);
  void answering(const Answer& answer, const EndingCall& call);
  // An interactive transaction that ended while nobody called is forgotten here.
  void forget_ended(const TransactionTable& table);

  // Requests that the store has not answered, and how long the oldest has waited.
  [[nodiscard]] std::size_t store_waits() const { return asked_.size(); }
  [[nodiscard]] Duration longest_store_wait() const;

 private:
  static constexpr std::size_t kForgetAtLeast = 1024;

  // Of a transaction of this reign, from its first prepare until nothing is to be measured any more.
  struct Watched {
    Instant begun;
    Duration admission{};
    std::optional<Instant> proposed;
    std::optional<Instant> chosen;
    std::optional<Instant> acknowledged;
    std::size_t commits_to_come = 0;
    bool answered = false;
    std::string traceparent;
  };
  struct Asked {
    Histogram* time = nullptr;
    Instant at;
    std::optional<Position> choosing;
  };

  [[nodiscard]] Watched* find(const TransactionId& id);
  void answered_committed(const Committed& committed, const wire::ExecuteRequest& request);
  void answered_failed(const Failed& failed, const wire::ExecuteRequest& request, bool counts_abort);
  void tell_if_slow(const ExecuteCall& call, const std::optional<TransactionId>& id, const Watched* watched,
                    Instant now) const;
  void forget_if_done(const TransactionId& id);
  void count(std::string_view outcome, std::string_view code);

  Metrics& metrics_;
  const Duration slow_after_;
  Histogram& admission_;
  Histogram& prepare_;
  Histogram& choose_;
  Histogram& commit_;
  Histogram& one_phase_;
  Histogram& statement_;
  Histogram& whole_;
  Counter& committed_;
  std::vector<Histogram*> store_;  // by the request's place in store::Request

  std::map<Position, Watched> watched_;
  std::unordered_map<std::uint64_t, Asked> asked_;  // by ticket
  // What interactive transactions are called. Bounded by those that are open, and some.
  std::map<TransactionId, std::shared_ptr<const wire::ExecuteRequest>> interactive_;
  std::size_t forget_at_ = kForgetAtLeast;
};

}  // namespace troth::coordinator
