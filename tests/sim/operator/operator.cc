#include "tests/sim/operator/operator.h"

#include <memory>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth::sim {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);

class Operator final : public Program {
 public:
  Operator(Node& node, const OperatorPlan& plan)
      : node_(node), world_(node.world()), plan_(plan), loop_(node), timer_(loop_) {
    for (const auto& address : plan_.coordinators)
      coordinators_.push_back(
          std::make_unique<rpc::Channel>(loop_, *rpc::Address::parse(address), rpc::ChannelOptions{}));
    for (const auto& address : plan_.agents)
      watched_.push_back(std::make_unique<Watched>(loop_, address));
    for (auto& agent : watched_)
      look_later(*agent);
    look_at_decisions_later();
  }

 private:
  struct Watched {
    Watched(asio::io_context& loop, const std::string& address)
        : channel(loop, *rpc::Address::parse(address), {}), timer(loop) {}
    rpc::Channel channel;
    asio::steady_timer timer;
  };

  // Each in turn: whichever leads, any of them answers.
  rpc::Channel& coordinator() { return *coordinators_[turn_++ % coordinators_.size()]; }

  void note(std::string_view what, const std::string& text) {
    world_.trace().event(world_.now(), node_.name(), what, 0, [&] { return text; });
  }

  void later(asio::steady_timer& timer, Duration delay, std::function<void()> action) {
    timer.expires_after(delay);
    timer.async_wait([action = std::move(action)](const asio::error_code& stopped) {
      if (!stopped) action();
    });
  }

  void look_later(Watched& agent) {
    const auto pause = world_.draw(Purpose::kOperator, Duration(500'000), Duration(4'000'000));
    later(agent.timer, pause, [this, &agent] { look(agent); });
  }

  void look(Watched& agent) {
    agent.channel.call<wire::Agent_agent_status>(
        kPatience, [this, &agent](const Result<wire::AgentStatus>& status) {
          if (!status) return look_later(agent);
          for (const auto& health : status->resources)
            if (health.state == "set back" || health.state == "not owner") return take_over(agent, health);
          for (const auto& branch : status->in_doubt)
            if (branch.state == "too old") return resolve(agent, branch);
          look_later(agent);
        });
  }

  // A branch that was lost keeps its decision open until somebody has seen it.
  void look_at_decisions_later() {
    const auto pause = world_.draw(Purpose::kOperator, Duration(500'000), Duration(6'000'000));
    later(timer_, pause, [this] {
      coordinator().call<wire::Administration_in_doubt>(
          kPatience, [this](const Result<wire::InDoubtReport>& report) {
            if (report) {
              for (const auto& transaction : report->transactions)
                for (const auto& branch : transaction.branches)
                  if (branch.state == "lost") return take_note(transaction.transaction_id, branch);
            }
            look_at_decisions_later();
          });
    });
  }

  void take_note(const std::string& transaction, const wire::BranchStatus& branch) {
    world_.count_rare("a lost branch was noted by an operator");
    note("takes note of", fmt::format("{} in {}: lost", transaction, branch.resource));
    wire::ResolveRequest request;
    request.transaction_id = transaction;
    request.resource = branch.resource;
    request.branch = branch.branch;
    request.reason = "what was restored does not have it";
    request.operator_name = node_.name();
    coordinator().call<wire::Administration_resolve>(
        request, kPatience, [this](const Result<wire::ResolveReply>& reply) {
          note("hears", reply ? fmt::format("{}: {}", reply->state, reply->detail) : reply.error().message);
          look_at_decisions_later();
        });
  }

  void take_over(Watched& agent, const wire::ResourceHealth& health) {
    world_.count_rare(fmt::format("a resource was taken over that was {}", health.state));
    wire::TakeOverRequest request;
    request.resource = health.resource;
    request.reason = health.detail;
    request.operator_name = node_.name();
    // What happened to it is found out first.
    const auto pause = world_.draw(Purpose::kOperator, Duration(100'000), Duration(2'000'000));
    later(agent.timer, pause, [this, &agent, request] {
      note("takes over", fmt::format("{}: {}", request.resource, request.reason));
      agent.channel.call<wire::Agent_take_over_resource>(
          request, kPatience, [this, &agent](const Result<wire::ResourceHealth>& after) {
            note("hears", after ? after->state : after.error().message);
            look_later(agent);
          });
    });
  }

  // What the coordinator knows comes first: it may know the decision by now.
  void resolve(Watched& agent, const wire::InDoubtBranch& branch) {
    world_.count_rare("a branch in doubt was left to an operator");
    wire::StatusRequest request;
    request.__set_transaction_id(branch.transaction_id);
    coordinator().call<wire::Transactions_status>(
        request, kPatience, [this, &agent, branch](const Result<wire::StatusReply>& reply) {
          if (!reply) return look_later(agent);
          note("hears state", fmt::format("{} {}", static_cast<int>(reply->state), branch.transaction_id));
          const auto id = TransactionId::parse(branch.transaction_id);
          if (!id) return look_later(agent);
          switch (reply->state) {
            case wire::TransactionState::COMMITTED: return end_by_hand(agent, branch, true);
            case wire::TransactionState::NOT_COMMITTED: return end_by_hand(agent, branch, false);
            case wire::TransactionState::TOO_OLD: return look_into_the_books(agent, branch, *id);
            default: return look_later(agent);
          }
        });
  }

  void look_into_the_books(Watched& agent, const wire::InDoubtBranch& branch, const TransactionId& id) {
    const bool is_mistaken = world_.chance(Purpose::kOperator, plan_.mistakes);
    if (is_mistaken) world_.count_rare("an operator was mistaken");
    end_by_hand(agent, branch, plan_.was_committed(id) != is_mistaken);
  }

  void end_by_hand(Watched& agent, const wire::InDoubtBranch& branch, bool commit) {
    wire::ResolveRequest request;
    request.transaction_id = branch.transaction_id;
    request.resource = branch.resource;
    request.branch = branch.branch;
    request.commit = commit;
    request.reason = "the books say so";
    request.operator_name = node_.name();
    note("resolves", fmt::format("{} in {}: {}", request.transaction_id, request.resource,
                                 request.commit ? "commit" : "rollback"));
    coordinator().call<wire::Administration_resolve>(
        request, kPatience, [this, &agent](const Result<wire::ResolveReply>& reply) {
          note("hears", reply ? fmt::format("{}: {}", reply->state, reply->detail) : reply.error().message);
          look_later(agent);
        });
  }

  Node& node_;
  World& world_;
  const OperatorPlan& plan_;
  asio::io_context loop_;
  std::vector<std::unique_ptr<rpc::Channel>> coordinators_;
  std::size_t turn_ = 0;
  asio::steady_timer timer_;
  std::vector<std::unique_ptr<Watched>> watched_;
};

}  // namespace

Node::Boot operator_program(OperatorPlan plan) {
  return [plan = std::move(plan)](Node& node) { return std::make_unique<Operator>(node, plan); };
}

}  // namespace troth::sim
