// tests/support/fake_cluster.h
//
// A coordinator and an agent that answer what a test tells them to, behind the real server on a real port:
// what the tool is tried against.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "thrift/address.h"
#include "thrift/gen/administration_types.h"
#include "thrift/gen/agents_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth {

// Answers to give, and what was asked. Set before the call; read after it.
struct FakeAnswers {
  std::int32_t contract_version = 1;
  std::deque<Result<wire::ExecuteResult>> execute_first;  // one each, before:
  Result<wire::ExecuteResult> execute;
  Result<wire::StatusReply> status;
  Result<wire::ClusterStatus> cluster;
  Result<wire::InDoubtReport> in_doubt;
  Result<wire::ResolveReply> resolve;
  Result<wire::ResourceHealth> take_over;
  Result<wire::AgentStatus> agent;
  Result<wire::FinishReply> resolve_branch;
  int drop_executes = 0;  // so many calls get no answer of the service

  std::vector<wire::ExecuteRequest> executed;
  std::optional<wire::StatusRequest> asked_status;
  std::optional<wire::ResolveRequest> resolved;
  std::optional<wire::TakeOverRequest> taken_over;
  std::optional<wire::ResolveBranchRequest> resolved_branch;
};

class FakeCluster {
 public:
  FakeCluster();
  ~FakeCluster();
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  FakeAnswers answers;
  [[nodiscard]] std::string address() const;

 private:
  struct Serving;
  std::unique_ptr<Serving> serving_;
};

}  // namespace troth
