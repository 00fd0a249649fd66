#include "coordinator/runtime/replicas_service.h"

#include <utility>

#include "thrift/runtime/refusal.h"

namespace troth::coordinator {

void ReplicasService::greet(Answer<wire::ReplicaHello> answer, Refusal refuse,
                            const wire::ReplicaHello& hello) {
  const auto reply = replica_.greet(hello);
  if (!reply) return rpc::refuse_with(refuse, reply.error());
  answer(*reply);
}

void ReplicasService::deliver(std::function<void()> taken, const wire::ReplicaMessage& message) {
  replica_.deliver(message);
  taken();
}

void ReplicasService::pass_on(Answer<wire::PassedAnswer> answer, Refusal refuse,
                              const wire::PassedCall& call) {
  replica_.pass_on(call, [answer = std::move(answer), refuse = std::move(refuse)](Result<rpc::Bytes> frame) {
    if (!frame) return rpc::refuse_with(refuse, frame.error());
    wire::PassedAnswer passed;
    passed.frame.assign(reinterpret_cast<const char*>(frame->data()), frame->size());
    answer(passed);
  });
}

}  // namespace troth::coordinator
