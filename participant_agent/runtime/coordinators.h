// participant_agent/runtime/coordinators.h
//
// The coordinators as an agent calls them: it registers, asks how branches in doubt ended, and has a jump of
// the epoch confirmed. Runs on the event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <asio/steady_timer.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "participant_agent/table_messages.h"
#include "thrift/address.h"
#include "thrift/gen/agents_types.h"
#include "thrift/runtime/channel.h"

namespace troth::agent {

class Coordinators {
 public:
  Coordinators(asio::io_context& loop, AgentId agent, ClusterId cluster,
               const std::vector<rpc::Address>& addresses, const rpc::TlsPointer& tls);
  ~Coordinators();
  Coordinators(const Coordinators&) = delete;
  Coordinators& operator=(const Coordinators&) = delete;

  // Which cluster these coordinators are; asked until one answers.
  void ask_cluster(std::function<void(Result<ClusterId>)> done);

  // The coordinators hear of it until one has taken it; a newer registration replaces one under way.
  // `outrun`: they know a later start of this agent, and refuse this one for as long as it runs.
  void register_agent(wire::RegisterRequest request, std::function<void(const wire::RegisterReply&)> done,
                      std::function<void(const Error&)> outrun);
  // The last refusal of the registration, while it lasts.
  [[nodiscard]] const std::optional<Error>& registration_trouble() const { return trouble_; }

  // No answer: asked again by the branch when its time comes.
  void inquire(const BranchId& branch, const ResourceName& resource,
               std::function<void(InquiryAnswered)> done);

  // `done` once a majority of the configured coordinators names this very epoch; else never [T8].
  void confirm(const Epoch& epoch, std::function<void()> done);

 private:
  // One of them, each in its turn.
  [[nodiscard]] rpc::Channel& next();
  void send_registration();

  asio::io_context& loop_;
  AgentId agent_;
  ClusterId cluster_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::size_t turn_ = 0;

  std::optional<wire::RegisterRequest> registration_;
  std::function<void(const wire::RegisterReply&)> registered_;
  std::function<void(const Error&)> outrun_;
  std::uint64_t registration_number_ = 0;
  std::optional<Error> trouble_;
  asio::steady_timer timer_;
};

}  // namespace troth::agent
