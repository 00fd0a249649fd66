// coordinator/watermarks.h
//
// [T7] Each agent's watermark: the oldest transaction that is begun, undecided and may have sent this agent
// work; if there is none, the next one to be begun. Below it this reign begins nothing there any more. Per
// agent, so that one dead agent pins nobody else's memory (attack 57). An interactive transaction may go to any
// agent while it is active; it pins them all, for as long as its timeout allows.
#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "base/ids.h"

namespace troth::coordinator {

class Watermarks {
 public:
  void begun(const AgentId& agent, Sequence sequence) { active_[agent].insert(sequence); }
  void decided(const AgentId& agent, Sequence sequence) {
    const auto at = active_.find(agent);
    if (at == active_.end()) return;
    at->second.erase(sequence);
    if (at->second.empty()) active_.erase(at);
  }
  void begun_anywhere(Sequence sequence) { anywhere_.insert(sequence); }
  void goes_nowhere_new(Sequence sequence) { anywhere_.erase(sequence); }
  [[nodiscard]] Sequence watermark(const AgentId& agent, Sequence next) const {
    if (!anywhere_.empty()) next = *anywhere_.begin();
    const auto at = active_.find(agent);
    return at == active_.end() ? next : std::min(next, *at->second.begin());
  }
  // The undecided transactions that may have sent this agent work, oldest first.
  [[nodiscard]] std::set<Sequence> active(const AgentId& agent) const {
    const auto at = active_.find(agent);
    return at == active_.end() ? std::set<Sequence>{} : at->second;
  }

 private:
  std::map<AgentId, std::set<Sequence>> active_;
  std::set<Sequence> anywhere_;
};

}  // namespace troth::coordinator
