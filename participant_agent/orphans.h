// participant_agent/orphans.h
//
// Finds prepared branches that this agent does not know, or takes for ended: left by a session that outlived its
// agent, by a journal that was lost, or by a server that was set back behind their end (attack 7). Looked for at start, after each reconnect and periodically (attack 29).
//
// The order of listing is what keeps live work safe (citus#1030, #2095): prepared, then active, then
// decisions, then prepared again. A branch is an orphan only if both prepared lists hold it and no branch of the
// agent lived under its name in between; it is then told to the branch table, which ends it as it had ended, or
// asks the group.
//
//   listing --> asking --> listing again --> done
//
// Strangers' prepared transactions, and another cluster's, are counted and never touched.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/table_messages.h"

namespace troth::agent {

// -- Inputs, in this order ----------------------------------------------------------------------------------

// What the database holds; `strangers` are rows that are not named by Troth.
struct PreparedListed {
  std::vector<PreparedRow> rows;
  std::uint64_t strangers = 0;
};
// What lives in the agent's branch table, read after the list.
struct ActiveListed {
  std::set<BranchId> live;
};
// The group's answers to AskDecisions; a branch that is missing was not answered.
struct DecisionsListed {
  std::map<BranchId, GroupDecision> decisions;
};
using OrphanInput = std::variant<PreparedListed, ActiveListed, DecisionsListed>;

// -- Effects ------------------------------------------------------------------------------------------------

struct ListPrepared {
  bool operator==(const ListPrepared&) const = default;
};
struct ListActive {
  bool operator==(const ListActive&) const = default;
};
struct AskDecisions {
  std::vector<BranchId> branches;
  bool operator==(const AskDecisions&) const = default;
};
// Tell the branch table PreparedFound, then InquiryAnswered where there is a decision.
struct AdoptOrphan {
  BranchId branch;
  GroupDecision decision = GroupDecision::kUndecided;
  bool operator==(const AdoptOrphan&) const = default;
};
struct ReportSurvey {
  std::uint64_t strangers = 0;
  std::uint64_t other_clusters = 0;
  std::uint64_t orphans = 0;
  bool operator==(const ReportSurvey&) const = default;
};
using OrphanEffect = std::variant<ListPrepared, ListActive, AskDecisions, AdoptOrphan, ReportSurvey>;

// One survey of one resource; made anew for each.
class OrphanSurvey {
 public:
  explicit OrphanSurvey(ClusterId cluster) : cluster_(std::move(cluster)) {}

  [[nodiscard]] std::vector<OrphanEffect> start();
  // An input out of its turn is ignored: a survey never acts on lists that were taken in another order.
  [[nodiscard]] std::vector<OrphanEffect> step(const OrphanInput& input);
  [[nodiscard]] bool is_done() const { return std::holds_alternative<Done>(state_); }

 private:
  struct ListingPrepared {};
  struct ListingActive {
    std::set<BranchId> prepared;
  };
  struct Asking {
    std::set<BranchId> suspects;
  };
  struct ListingAgain {
    std::map<BranchId, GroupDecision> suspects;
  };
  struct Done {};

  [[nodiscard]] std::set<BranchId> ours(const PreparedListed& list);
  std::vector<OrphanEffect> finish(std::uint64_t orphans);

  ClusterId cluster_;
  ReportSurvey report_;
  std::variant<ListingPrepared, ListingActive, Asking, ListingAgain, Done> state_;
};

// MariaDB keeps a prepared branch tied to the session that prepared it; lost, that session keeps the branch hostage:
// 1397 for everybody else, although the server lists the branch. The sessions to end for it: the journalled one, if
// the server's start still matches (connection ids begin again with each start, attack 52) and the role still has a
// session of that number; else, because nobody else uses the role, every other session of it. Never one in use by
// this agent's pools.
[[nodiscard]] std::vector<ConnectionId> holders(const std::optional<SessionIdentity>& journalled,
                                                ServerStart server_start,
                                                const std::vector<RoleSession>& role_sessions,
                                                const std::set<ConnectionId>& in_use);

}  // namespace troth::agent
