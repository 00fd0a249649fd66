// coordinator/runtime/coordinator_view.h
//
// What a coordinator shows of its state: its gauges, and whether it can do its work. Read on the event loop's
// thread, when somebody asks.
#pragma once

#include <array>
#include <map>

#include "base/runtime/monitor.h"
#include "coordinator/decision_store/runtime/local_store.h"
#include "coordinator/runtime/coordinator.h"

namespace troth::coordinator {

class CoordinatorView {
 public:
  CoordinatorView(Metrics& metrics, const CoordinatorSettings& settings);

  void refresh(const Coordinator& coordinator, const store::LocalStore& store);
  [[nodiscard]] Readiness readiness(const Coordinator& coordinator) const;

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
  void refresh_resources(const Coordinator& coordinator);
  void refresh_agents(const Coordinator& coordinator, Sequence last);

  Metrics& metrics_;
  std::map<ResourceName, ResourceGauges> resources_;
};

}  // namespace troth::coordinator
