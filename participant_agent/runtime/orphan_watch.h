// participant_agent/runtime/orphan_watch.h
//
// Looks through what a resource holds prepared: when it begins to be served, after each reconnect, and then
// periodically. What to look at, and in which order, is decided by OrphanSurvey.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <asio/steady_timer.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/orphans.h"
#include "participant_agent/runtime/database_connection.h"

namespace asio {
class io_context;
}

namespace troth::agent {

class OrphanWatch {
 public:
  struct Owner {
    // Answered through the loop, or never.
    std::function<void(std::function<void(Result<PreparedList>)>)> list_prepared;
    std::function<std::set<BranchId>()> live_branches;  // of the resource
    std::function<void(const BranchId&, std::function<void(GroupDecision)>)> ask_decision;
    std::function<void(const BranchId&)> found;
    std::function<bool()> serves;
  };

  OrphanWatch(asio::io_context& loop, ResourceName resource, ClusterId cluster, Duration interval,
              Owner owner);

  // Now, whatever is under way, and then after each interval for as long as the resource is served.
  void begin();
  void stop();

 private:
  void take(std::uint64_t survey, const OrphanInput& input);
  void carry_out(const std::vector<OrphanEffect>& effects);
  void list();
  void ask(const std::vector<BranchId>& branches);
  void again_after(Duration pause);

  asio::io_context& loop_;
  ResourceName resource_;
  ClusterId cluster_;
  Duration interval_;
  Owner owner_;
  std::optional<OrphanSurvey> survey_;
  std::uint64_t number_ = 0;  // of the survey: an answer to an earlier one is not taken
  ReportSurvey last_;
  asio::steady_timer timer_;
  asio::steady_timer patience_;
};

}  // namespace troth::agent
