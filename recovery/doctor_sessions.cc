// What stands between the agent and its database, as an experiment with sessions showed it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recovery/doctor.h"

namespace troth::recovery {

std::vector<Finding> examine_sessions(const ResourceFacts& facts) {
  const auto& sessions = facts.sessions;
  const auto where = where_of(facts.configured);
  const std::string console = sessions.console.empty() ? "" : "; " + sessions.console;
  std::vector<Finding> findings;
  const auto tell = [&](std::string_view id, std::string seen) {
    findings.push_back(found(id, where, std::move(seen),
                             {{"resource", facts.configured.name}, {"role", facts.configured.role}}));
  };
  // Each of these says more than those after it.
  if (!sessions.transaction_refused.empty()) {
    tell("pooler-refuses-transactions", sessions.transaction_refused + console);
  } else if (!sessions.moved.empty() || !sessions.lost.empty()) {
    std::string seen = sessions.moved;
    if (!sessions.lost.empty()) {
      seen += fmt::format("{}lost between two transactions: {}", seen.empty() ? "" : "; ",
                          fmt::join(sessions.lost, ", "));
    }
    tell("pooler-moves-sessions", seen + console);
  } else if (!sessions.kept.empty()) {
    tell("pooler-keeps-sessions", sessions.kept + console);
  } else if (!sessions.console.empty()) {
    tell("pooler-keeps-sessions", sessions.console);
  }
  if (!sessions.renamed.empty()) tell("proxy-renames-sessions", sessions.renamed);
  if (sessions.cannot_end && !sessions.cannot_end->empty()) tell("cannot-end-sessions", *sessions.cannot_end);
  return findings;
}

}  // namespace troth::recovery
