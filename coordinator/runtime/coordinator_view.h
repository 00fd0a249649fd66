// coordinator/runtime/coordinator_view.h
//
// What a coordinator shows of its state: its gauges, and whether it can do its work. Read on the event loop's
// thread, when somebody asks.
#pragma once

#include <array>
#include <map>

#include "base/runtime/monitor.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/runtime/call_router.h"
#include "coordinator/runtime/reigns.h"
#include "coordinator/runtime/replica.h"

namespace troth::coordinator {

class CoordinatorView {
 public:
  CoordinatorView(Metrics& metrics, const CoordinatorSettings& settings);

  void refresh_store(const store::Counts& records);
  void refresh_reign(const Reigns& reigns);
  // Behind its last refresh: what is shown of transactions, resources and agents was this reign's.
  void reign_ended();
  void refresh_replica(const Replica& replica, const CallRouter& router);
  // `replica`: null when it is alone.
  [[nodiscard]] Readiness readiness(const Reigns& reigns, const Replica* replica, bool stops) const;

  // In the order of the table's help.
  static constexpr std::array kStates{"starting",    "serving",  "unreachable", "waiting",
                                      "not durable", "set back", "not owner",   "stopped"};

 private:
  struct ResourceGauges {
    std::array<Gauge*, kStates.size()> states{};
    Gauge* waiting = nullptr;
    Gauge* oldest_waiting = nullptr;
  };
  ResourceGauges& gauges_of(const ResourceName& resource);
  void refresh_transactions(const TransactionTable& table);
  void refresh_resources(const Coordinator& coordinator);
  void refresh_agents(const Coordinator& coordinator, Sequence last);

  Metrics& metrics_;
  Epoch counted_;  // the reign whose transactions these are
  TableCounts last_;
  std::map<ResourceName, ResourceGauges> resources_;
  struct AgentGauges {
    Gauge* connected = nullptr;
    Gauge* lag = nullptr;
  };
  std::map<AgentId, AgentGauges> agents_;
};

}  // namespace troth::coordinator
