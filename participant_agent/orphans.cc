#include "participant_agent/orphans.h"

#include <algorithm>

#include "participant_agent/dialect/xid.h"

namespace troth::agent {

std::vector<OrphanEffect> OrphanSurvey::start() {
  return {ListPrepared{}};
}

std::set<BranchId> OrphanSurvey::ours(const PreparedListed& list) {
  std::set<BranchId> branches;
  report_.strangers = list.strangers;
  report_.other_clusters = 0;
  for (const auto& row : list.rows) {
    if (of_cluster(row.branch, cluster_)) {
      branches.insert(row.branch);
    } else {
      ++report_.other_clusters;
    }
  }
  return branches;
}

std::vector<OrphanEffect> OrphanSurvey::finish(std::uint64_t orphans) {
  report_.orphans = orphans;
  state_ = Done{};
  return {report_};
}

std::vector<OrphanEffect> OrphanSurvey::step(const OrphanInput& input) {
  if (const auto* list = std::get_if<PreparedListed>(&input)) {
    if (std::holds_alternative<ListingPrepared>(state_)) {
      auto prepared = ours(*list);
      if (prepared.empty()) return finish(0);
      state_ = ListingActive{std::move(prepared)};
      return {ListActive{}};
    }
    if (const auto* again = std::get_if<ListingAgain>(&state_)) {
      const auto still_there = ours(*list);
      std::vector<OrphanEffect> effects;
      for (const auto& [branch, decision] : again->suspects) {
        if (still_there.contains(branch)) effects.emplace_back(AdoptOrphan{branch, decision});
      }
      auto report = finish(effects.size());
      effects.insert(effects.end(), report.begin(), report.end());
      return effects;
    }
  } else if (const auto* active = std::get_if<ActiveListed>(&input)) {
    if (const auto* listing = std::get_if<ListingActive>(&state_)) {
      Asking asking;
      std::ranges::set_difference(listing->prepared, active->live,
                                  std::inserter(asking.suspects, asking.suspects.end()));
      if (asking.suspects.empty()) return finish(0);
      const std::vector<BranchId> branches(asking.suspects.begin(), asking.suspects.end());
      state_ = std::move(asking);
      return {AskDecisions{branches}};
    }
  } else if (const auto* answered = std::get_if<DecisionsListed>(&input)) {
    if (const auto* asking = std::get_if<Asking>(&state_)) {
      ListingAgain again;
      for (const auto& branch : asking->suspects) {
        const auto decision = answered->decisions.find(branch);
        again.suspects[branch] =
            decision == answered->decisions.end() ? GroupDecision::kUndecided : decision->second;
      }
      state_ = std::move(again);
      return {ListPrepared{}};
    }
  }
  return {};
}

std::vector<ConnectionId> holders(const std::optional<SessionIdentity>& journalled, ServerStart server_start,
                                  const std::vector<RoleSession>& role_sessions,
                                  const std::set<ConnectionId>& in_use) {
  std::vector<ConnectionId> others;
  for (const auto& session : role_sessions) {
    if (in_use.contains(session.connection)) continue;
    if (journalled && session.connection == journalled->connection &&
        same_start(journalled->server_start, server_start))
      return {session.connection};
    others.push_back(session.connection);
  }
  return others;
}

}  // namespace troth::agent
