// coordinator/status_query.h
//
// Answers one `status` call that the table's memory cannot: asks the store, and where only a resource can
// tell, the resource.
//
//   by transaction id       look up ----------------------------------------------> answer
//   by one-phase id         settle its resource, until it tells ------------------> answer
//   by request key          look up ----------------------------------------------> answer, or "unknown"
//   by request key, bar     look up -> settle every named resource -> choose barred -> answer
//
// Attack 40: only a bar says "not committed" of a request without a record. It settles the resources first,
// so that a barred record means that their barriers stand, and is answered only after all are committed. Where the request
// floor has passed meanwhile, their barriers prove nothing: record and marker may have been forgotten before they were asked
// for. The store bars nothing there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "coordinator/backoff.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/table_messages.h"

namespace troth::coordinator {

using StatusSubject = std::variant<TransactionId, RequestKey>;

class StatusQuery {
 public:
  struct Options {
    CallId call;
    StatusSubject subject;
    bool bar = false;
    bool over_here = false;               // begun in this reign and no longer in its table
    std::vector<ResourceName> resources;  // to settle: the one-phase id's own, or those that a bar names
    Instant deadline;
    Backoff ask_again;
  };

  // ---- inputs
  struct Begun {};
  struct RecordLookedUp {
    store::StoreAnswer answer;
  };
  struct ResourceSettled {
    ResourceName resource;
    BranchEnd end = BranchEnd::kUndecided;
    std::optional<TransactionId> committed_as;
    std::string detail;
  };
  struct BarAnswered {
    store::StoreAnswer answer;
  };
  struct TimePassed {};
  using Input = std::variant<Begun, RecordLookedUp, ResourceSettled, BarAnswered, TimePassed>;

  // ---- effects
  struct LookUp {
    bool operator==(const LookUp&) const = default;
  };
  struct Settle {
    ResourceName resource;
    bool operator==(const Settle&) const = default;
  };
  struct ChooseBarred {
    bool operator==(const ChooseBarred&) const = default;
  };
  struct Answer {
    StatusReport report;
    bool operator==(const Answer&) const = default;
  };
  using Effect = std::variant<LookUp, Settle, ChooseBarred, Answer>;

  explicit StatusQuery(Options options) : options_(std::move(options)) {}

  [[nodiscard]] std::vector<Effect> step(Instant now, Random& random, const Input& input);
  [[nodiscard]] std::optional<Instant> due() const;
  [[nodiscard]] bool over() const { return over_; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Waiting {
    std::uint32_t attempts = 0;
    std::optional<Instant> ask_at;  // nullopt: it has been asked
  };

  void settle_all_or_go_on(std::vector<Effect>& effects);
  void take_record(const store::StoreAnswer& answer, std::vector<Effect>& effects);
  void take_settled(Instant now, Random& random, const ResourceSettled& settled,
                    std::vector<Effect>& effects);
  void take_bar(const store::StoreAnswer& answer, std::vector<Effect>& effects);
  void pass_time(Instant now, std::vector<Effect>& effects);
  void answer(StatusReport report, std::vector<Effect>& effects);
  void answer(TransactionState state, std::string detail, std::vector<Effect>& effects);

  Options options_;
  std::map<ResourceName, Waiting> unsettled_;
  std::optional<StatusReport> resolved_;  // what is told unless a resource proves the group's commit
  bool over_ = false;
};

// What a record says of its transaction.
[[nodiscard]] StatusReport report_of(const store::StoredDecision& decision);

// What a prefix of the history says [T5]. `over_here`: see Options. Of a transaction in one phase it can tell nothing, and of a
// request that was one neither.
[[nodiscard]] StatusReport report_of(const StatusSubject& subject, const store::Found& found, bool over_here);

}  // namespace troth::coordinator
