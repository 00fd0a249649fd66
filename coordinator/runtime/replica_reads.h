// coordinator/runtime/replica_reads.h
//
// `status` as any coordinator of a group may answer it, from its own copy of the decision store: with the consistencies that
// need no leader (store::Consistency). It knows what was decided, and nothing of what runs, nor of what only a resource
// knows.
//
// A session's token names the reign that an operator began last, and a slot: where the group was set back since, the slot
// is another history's, and it is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/runtime/alarm.h"
#include "coordinator/decision_store/runtime/group_store.h"
#include "coordinator/status_query.h"

namespace troth::coordinator {

struct ReadToken {
  EpochNumber new_reign;
  store::WriteNumber position;
  [[nodiscard]] std::string text() const;
  // Refuses (invalid_argument) what text() did not make.
  [[nodiscard]] static Result<ReadToken> parse(std::string_view text);
};
[[nodiscard]] ReadToken token_of(const store::Prefix& prefix);

class ReplicaReads {
 public:
  struct Answer {
    StatusReport report;
    ReadToken token;
  };
  using Done = std::function<void(Result<Answer>)>;

  ReplicaReads(asio::io_context& loop, store::GroupStore& store, ClusterId cluster);

  // `token`: of a session's read only. What cannot be told in time is an error: `unavailable`, effect none.
  void status(StatusSubject subject, store::Consistency consistency, std::optional<ReadToken> token,
              Duration timeout, Done done);
  // Through which everything that was answered so far can be read.
  [[nodiscard]] ReadToken newest() const { return token_of(store_.prefix()); }
  // Takes the answers to what was asked here out of `answers`.
  void store_answered(std::vector<store::Answered>& answers);

 private:
  struct Waiting {
    StatusSubject subject;
    Instant until;
    Done done;
  };
  void answer(const Waiting& waiting, const store::StoreAnswer& answer) const;
  void time_passed();

  store::GroupStore& store_;
  ClusterId cluster_;
  std::uint64_t last_ticket_ = 0;
  std::map<store::Ticket, Waiting> waiting_;
  std::set<std::pair<Instant, store::Ticket>> deadlines_;
  Alarm alarm_;
};

}  // namespace troth::coordinator
