// participant_agent/branch_times.h
//
// How long a branch waits for what.
#pragma once

#include <chrono>

#include "base/time.h"

namespace troth::agent {

struct BranchTimes {
  Duration default_timeout = std::chrono::seconds(30);  // of work that names none
  Duration cancel_grace = std::chrono::seconds(5);      // from cancelling the work to ending its session
  Duration first_inquiry = std::chrono::seconds(2);     // from the yes; doubles each time
  Duration longest_inquiry = std::chrono::seconds(30);
  Duration first_retry = std::chrono::milliseconds(200);  // of finishing; doubles each time
  Duration longest_retry = std::chrono::seconds(10);
  // An open branch outlives its coordinator's own idle time by this much, so that the coordinator ends it.
  Duration idle_slack = std::chrono::seconds(5);
};

}  // namespace troth::agent
