#include "coordinator/runtime/directory_service.h"

#include <utility>

#include <fmt/format.h>

#include "base/runtime/log.h"
#include "coordinator/runtime/wire.h"
#include "thrift/runtime/refusal.h"

namespace troth::coordinator {
namespace {

wire::Epoch epoch_of(const Epoch& epoch) {
  wire::Epoch out;
  out.number = epoch.number.value;
  out.nonce = static_cast<std::int64_t>(epoch.nonce.value);
  return out;
}

}  // namespace

Status DirectoryService::check_cluster(const std::string& cluster) const {
  const auto& own = reigns_.cluster().value;
  if (cluster.empty() || cluster == own) return {};
  return fail(ErrorCode::kNotOwner, Effect::kNone,
              fmt::format("the agent belongs to cluster {}, this coordinator to {}: check the agent's "
                          "`coordinators`, or give this cluster an agent of its own",
                          cluster, own));
}

Status DirectoryService::check_agent(const std::string& agent_id) const {
  const rpc::Caller* caller = rpc::current_caller();
  if (caller == nullptr || rpc::is_name_of_agent(caller->name, agent_id)) return {};
  return gate_.deny(
      fmt::format("the certificate is {}'s, and the call's agent_id is '{}': an agent needs a certificate "
                  "of its own id, or of the name given at `init`",
                  caller->text(), agent_id.substr(0, 64)));
}

void DirectoryService::register_agent(Answer<wire::RegisterReply> answer, Refusal refuse,
                                      const wire::RegisterRequest& request) {
  if (const auto ours = check_cluster(request.cluster); !ours) return rpc::refuse_with(refuse, ours.error());
  if (const auto own = check_agent(request.agent_id); !own) return rpc::refuse_with(refuse, own.error());
  auto registration = registration_of(request);
  if (!registration) return rpc::refuse_with(refuse, registration.error());
  const auto agent = registration->agent;
  reigns_.serving().register_agent(
      *std::move(registration), [this, agent, answer = std::move(answer),
                                 refuse = std::move(refuse)](const Result<AgentRegistered>& registered) {
        if (!registered) {
          log_warning("registration refused", {{"agent", agent}, {"why", registered.error().message}});
          return rpc::refuse_with(refuse, registered.error());
        }
        wire::RegisterReply reply;
        reply.cluster = reigns_.cluster().value;
        for (const auto& [name, number] : registered->numbers)
          reply.resource_numbers[name.value] = static_cast<std::int32_t>(number.value);
        reply.epoch = epoch_of(registered->epoch);
        log_info("agent registered", {{"agent", agent}, {"resources", registered->numbers.size()}});
        answer(reply);
      });
}

void DirectoryService::inquire(Answer<wire::InquireReply> answer, Refusal refuse,
                               const wire::InquireRequest& request) {
  if (const auto ours = check_cluster(request.cluster); !ours) return rpc::refuse_with(refuse, ours.error());
  if (const auto own = check_agent(request.agent_id); !own) return rpc::refuse_with(refuse, own.error());
  auto id = TransactionId::parse(request.transaction_id);
  if (!id) return rpc::refuse_with(refuse, id.error());
  if (id->cluster != reigns_.cluster()) {
    return rpc::refuse_with(refuse, check_cluster(id->cluster.value).error());
  }
  const BranchId branch{*std::move(id), BranchNumber{static_cast<std::uint32_t>(request.branch)}};
  reigns_.serving().inquire(
      AgentId{request.agent_id}, branch,
      [answer = std::move(answer), refuse = std::move(refuse)](const Result<Inquired>& inquired) {
        if (!inquired) return rpc::refuse_with(refuse, inquired.error());
        wire::InquireReply reply;
        reply.decision = decision_of(inquired->decision);
        reply.header = inquired->header;
        answer(reply);
      });
}

void DirectoryService::current_epoch(Answer<wire::Epoch> answer, Refusal) {
  answer(epoch_of(newest_epoch_()));
}

}  // namespace troth::coordinator
