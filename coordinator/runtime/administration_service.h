// coordinator/runtime/administration_service.h
//
// What operators call through the tool (thrift/administration.thrift).
#pragma once

#include <cstdint>
#include <functional>

#include "coordinator/runtime/group_administration.h"
#include "coordinator/runtime/reigns.h"
#include "thrift/gen/Administration.h"
#include "thrift/runtime/gate.h"

namespace troth::coordinator {

class AdministrationService : public wire::AdministrationCobSvIf {
 public:
  // `group`: null where there is one coordinator.
  AdministrationService(Reigns& reigns, GroupAdministration* group, rpc::Gate& gate, std::string audit_path,
                        std::function<std::uint64_t()> log_syncs)
      : reigns_(reigns),
        group_(group),
        gate_(gate),
        audit_path_(std::move(audit_path)),
        log_syncs_(std::move(log_syncs)) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void cluster_status(Answer<wire::ClusterStatus> answer, Refusal refuse) override;
  void in_doubt(Answer<wire::InDoubtReport> answer, Refusal refuse) override;
  void resolve(Answer<wire::ResolveReply> answer, Refusal refuse,
               const wire::ResolveRequest& request) override;
  void group_status(Answer<wire::GroupStatus> answer, Refusal refuse) override;
  void change_group(Answer<wire::GroupStatus> answer, Refusal refuse,
                    const wire::ChangeGroupRequest& request) override;
  void transfer_lead(Answer<wire::GroupStatus> answer, Refusal refuse,
                     const wire::TransferLeadRequest& request) override;

 private:
  [[nodiscard]] std::vector<wire::OpenTransaction> open_transactions() const;
  [[nodiscard]] std::string before_resolve(const ResolveRequested& resolution) const;

  // Of a change of the group: may it be asked for, and the lines around it.
  [[nodiscard]] Status check_group_change(const std::string& operator_name, const std::string& reason) const;
  [[nodiscard]] GroupAdministration::Done audited(Answer<wire::GroupStatus> answer, Refusal refuse,
                                                  std::string action, std::string what,
                                                  std::string operator_name, std::string reason) const;

  Reigns& reigns_;
  GroupAdministration* group_;
  rpc::Gate& gate_;
  std::string audit_path_;
  std::function<std::uint64_t()> log_syncs_;
};

}  // namespace troth::coordinator
