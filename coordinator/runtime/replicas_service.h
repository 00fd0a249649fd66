// coordinator/runtime/replicas_service.h
//
// What the other replicas call (thrift/group.thrift). The replica itself says what comes of it.
#pragma once

#include <functional>

#include "coordinator/runtime/replica.h"
#include "thrift/gen/Replicas.h"

namespace troth::coordinator {

class ReplicasService : public wire::ReplicasCobSvIf {
 public:
  explicit ReplicasService(Replica& replica) : replica_(replica) {}

  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;
  using Refusal = std::function<void(apache::thrift::TDelayedException*)>;

  void greet(Answer<wire::ReplicaHello> answer, Refusal refuse, const wire::ReplicaHello& hello) override;
  void deliver(std::function<void()> taken, const wire::ReplicaMessage& message) override;
  void pass_on(Answer<wire::PassedAnswer> answer, Refusal refuse, const wire::PassedCall& call) override;

 private:
  Replica& replica_;
};

}  // namespace troth::coordinator
