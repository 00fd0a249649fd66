// participant_agent/runtime/resource_meter.h
//
// What an agent measures of one resource. On the event loop's thread.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/runtime/metrics.h"
#include "participant_agent/branch_table.h"
#include "participant_agent/resource_health.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/session_pool.h"

namespace troth::agent {

class ResourceMeter {
 public:
  ResourceMeter(Metrics& metrics, const ResourceName& resource);

  void worked(Duration queued, const WorkResult& result);
  void finished(bool commit, Duration took);
  void session_lost() { lost_sessions_.Increment(); }
  void inquired() { inquiries_.Increment(); }
  void voted(const VoteAnswer& vote);
  void ended(BranchEnd how);

  void show(const BranchLoad& load);
  void show(const ResourceHealth& health);
  void show(std::string_view pool, const SessionPoolCounts& counts, const SessionPoolOptions& limits);

 private:
  Histogram& step(const char* name);
  Counter& end(BranchEnd end);

  Metrics& metrics_;
  const std::string resource_;
  Histogram& queue_;
  Histogram& begin_;
  Histogram& statements_;
  Histogram& prepare_;
  Histogram& one_phase_;
  Histogram& read_only_;
  Histogram& commit_;
  Histogram& rollback_;
  Counter& lost_sessions_;
  Counter& inquiries_;
  Counter& yes_;
  Counter& committed_;
  Counter& rolled_back_;
  Gauge& in_doubt_;
  Gauge& oldest_in_doubt_;
  Gauge& live_;
};

}  // namespace troth::agent
