// coordinator/runtime/directory_service.h
//
// What agents call (thrift/agents.thrift): they register, and ask how a branch in doubt ended.
#pragma once

#include "coordinator/runtime/reigns.h"
#include "thrift/gen/Directory.h"
#include "thrift/runtime/gate.h"

namespace troth::coordinator {

class DirectoryService : public wire::DirectoryCobSvIf {
 public:
  DirectoryService(Reigns& reigns, rpc::Gate& gate, std::function<Epoch()> newest_epoch)
      : reigns_(reigns), gate_(gate), newest_epoch_(std::move(newest_epoch)) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void register_agent(Answer<wire::RegisterReply> answer, Refusal refuse,
                      const wire::RegisterRequest& request) override;
  void inquire(Answer<wire::InquireReply> answer, Refusal refuse,
               const wire::InquireRequest& request) override;
  void current_epoch(Answer<wire::Epoch> answer, Refusal refuse) override;

 private:
  [[nodiscard]] Status check_cluster(const std::string& cluster) const;
  // With TLS an agent speaks for itself only.
  [[nodiscard]] Status check_agent(const std::string& agent_id) const;

  Reigns& reigns_;
  rpc::Gate& gate_;
  std::function<Epoch()> newest_epoch_;  // that this coordinator knows of
};

}  // namespace troth::coordinator
