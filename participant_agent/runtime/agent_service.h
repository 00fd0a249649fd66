// participant_agent/runtime/agent_service.h
//
// What coordinators and the tool call on an agent (thrift/agents.thrift).
#pragma once

#include "participant_agent/runtime/agent.h"
#include "thrift/gen/Agent.h"

namespace troth::agent {

class AgentService : public wire::AgentCobSvIf {
 public:
  explicit AgentService(Agent& agent) : agent_(agent) {}

  template <typename Reply>
  using Send = std::function<void(const Reply&)>;
  using Refuse = std::function<void(apache::thrift::TDelayedException*)>;

  void agent_hello(Send<wire::Hello> send, Refuse refuse, const wire::Hello& hello) override;
  void prepare(Send<wire::PrepareReply> send, Refuse refuse, const wire::PrepareRequest& request) override;
  void run_statement(Send<wire::StatementReply> send, Refuse refuse,
                     const wire::StatementRequest& request) override;
  void commit_branch(Send<wire::FinishReply> send, Refuse refuse,
                     const wire::FinishRequest& request) override;
  void rollback_branch(Send<wire::FinishReply> send, Refuse refuse,
                       const wire::FinishRequest& request) override;
  void settle_branch(Send<wire::SettleReply> send, Refuse refuse,
                     const wire::SettleRequest& request) override;
  void heartbeat(Send<wire::HeartbeatReply> send, Refuse refuse,
                 const wire::HeartbeatRequest& request) override;
  void agent_status(Send<wire::AgentStatus> send, Refuse refuse) override;
  void resolve_branch(Send<wire::FinishReply> send, Refuse refuse,
                      const wire::ResolveBranchRequest& request) override;
  void take_over_resource(Send<wire::ResourceHealth> send, Refuse refuse,
                          const wire::TakeOverRequest& request) override;

 private:
  struct Finish {
    LeaderStamp stamp;
    BranchId id;
    ResourceName resource;
  };
  [[nodiscard]] static Result<Finish> finish_of(const wire::FinishRequest& request);
  [[nodiscard]] wire::ResourceHealth health_of(const Resource& resource, const BranchLoad& load) const;
  [[nodiscard]] std::vector<wire::ResourceHealth> health() const;

  Agent& agent_;
};

}  // namespace troth::agent
