// coordinator/watermarks.h
//
// [T7] Each agent's watermark: the oldest transaction that is begun, undecided and may have sent this agent
// work; if there is none, the next one to be begun. Below it this reign begins nothing there any more. Per
// agent, so that one dead agent pins nobody else's memory (attack 57).
#pragma once

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
  [[nodiscard]] Sequence watermark(const AgentId& agent, Sequence next) const {
    const auto at = active_.find(agent);
    return at == active_.end() ? next : *at->second.begin();
  }
  // The undecided transactions that may have sent this agent work, oldest first.
  [[nodiscard]] std::set<Sequence> active(const AgentId& agent) const {
    const auto at = active_.find(agent);
    return at == active_.end() ? std::set<Sequence>{} : at->second;
  }

 private:
  std::map<AgentId, std::set<Sequence>> active_;
};

}  // namespace troth::coordinator
