// coordinator/runtime/administration_service.h
//
// What operators call through the tool (thrift/administration.thrift).
#pragma once

#include <cstdint>
#include <functional>

#include "coordinator/runtime/reigns.h"
#include "thrift/gen/Administration.h"
#include "thrift/runtime/gate.h"

namespace troth::coordinator {

class AdministrationService : public wire::AdministrationCobSvIf {
 public:
  AdministrationService(Reigns& reigns, rpc::Gate& gate, std::string audit_path,
                        std::function<std::uint64_t()> log_syncs)
      : reigns_(reigns), gate_(gate), audit_path_(std::move(audit_path)), log_syncs_(std::move(log_syncs)) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void cluster_status(Answer<wire::ClusterStatus> answer, Refusal refuse) override;
  void in_doubt(Answer<wire::InDoubtReport> answer, Refusal refuse) override;
  void resolve(Answer<wire::ResolveReply> answer, Refusal refuse,
               const wire::ResolveRequest& request) override;

 private:
  [[nodiscard]] std::vector<wire::OpenTransaction> open_transactions() const;
  [[nodiscard]] std::string before_resolve(const ResolveRequested& resolution) const;

  Reigns& reigns_;
  rpc::Gate& gate_;
  std::string audit_path_;
  std::function<std::uint64_t()> log_syncs_;
};

}  // namespace troth::coordinator
