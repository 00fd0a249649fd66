#include "tests/sim/operator/new_reign.h"

#include <memory>
#include <set>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"
#include "coordinator/decision_store/runtime/local_store.h"
#include "participant_agent/runtime/wire.h"
#include "recovery/new_reign.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth::sim {
namespace {

namespace store = coordinator::store;

constexpr Duration kPatience = std::chrono::seconds(5);

class Restoring final : public Program {
 public:
  Restoring(Node& node, const NewReign& plan) : node_(node), plan_(plan), loop_(node), timer_(loop_) {
    for (const auto& address : plan_.agents)
      channels_.push_back(
          std::make_unique<rpc::Channel>(loop_, *rpc::Address::parse(address), rpc::ChannelOptions{}));
  }

  [[nodiscard]] Status start() {
    store::LocalStoreOptions options;
    options.directory = "/log";
    options.cluster = plan_.cluster;
    options.files = &disk_of(node_);
    options.segment_bytes = plan_.segment_bytes;
    options.post = [this](std::function<void()> action) { asio::post(loop_, std::move(action)); };
    options.on_answers = [this](std::vector<store::Answered> answers) {
      for (auto& answered : answers)
        std::exchange(on_answer_, nullptr)(answered.answer);
    };
    options.on_failure = [this](const Error& error) { node_.program_ended(error.message); };
    auto opened = store::LocalStore::open(std::move(options));
    if (!opened) return std::unexpected(std::move(opened.error()));
    store_ = *std::move(opened);
    look_later();
    return {};
  }

 private:
  using OnAnswer = std::function<void(const store::StoreAnswer&)>;

  void note(std::string_view what, const std::string& text) {
    auto& world = node_.world();
    world.trace().event(world.now(), node_.name(), what, 0, [&] { return text; });
  }

  void ask(store::Request request, OnAnswer on_answer) {
    on_answer_ = std::move(on_answer);
    store_->submit({{store::Ticket{++last_ticket_}, std::move(request)}});
  }

  void look_later() {
    timer_.expires_after(node_.world().draw(Purpose::kOperator, Duration(100'000), Duration(1'000'000)));
    timer_.async_wait([this](const asio::error_code& stopped) {
      if (stopped) return;
      facts_ = {};
      ask_agent(0);
    });
  }

  // All of them or none.
  void ask_agent(std::size_t index) {
    if (index == channels_.size()) return look_up();
    channels_[index]->call<wire::Agent_agent_status>(
        kPatience, [this, index](const Result<wire::AgentStatus>& status) {
          if (!status) return look_later();
          recovery::AgentSeen seen{status->agent_id, status->epoch.number, {}};
          for (const auto& branch : status->in_doubt) {
            recovery::HeldBranch held;
            held.resource = {branch.resource};
            held.transaction = branch.transaction_id;
            held.branch = {static_cast<std::uint32_t>(branch.branch)};
            held.state = branch.state;
            seen.held.push_back(held);
            not_looked_up_.insert(branch.transaction_id);
          }
          facts_.agents.push_back(std::move(seen));
          ask_agent(index + 1);
        });
  }

  void look_up() {
    if (not_looked_up_.empty()) return find_stored();
    const auto text = *not_looked_up_.begin();
    not_looked_up_.erase(not_looked_up_.begin());
    ask(store::Lookup{*TransactionId::parse(text)}, [this, text](const store::StoreAnswer& answer) {
      const auto* found = std::get_if<store::Found>(&answer);
      if (found == nullptr) return look_later();
      if (found->decision && found->decision->commit() != nullptr) facts_.decided_commits.insert(text);
      look_up();
    });
  }

  void find_stored() {
    ask(store::Lookup{TransactionId{plan_.cluster, {1}, {1}, {}}}, [this](const store::StoreAnswer& answer) {
      const auto* found = std::get_if<store::Found>(&answer);
      if (found == nullptr) return look_later();
      facts_.stored = found->prefix.epoch.number;
      const auto plan = recovery::plan_new_reign(facts_);
      CHECK(plan.has_value(), "{}", plan.error().message);
      if (!end_alike(*plan)) acquire(plan->above);
    });
  }

  // Of what would be lost, where a part of it may stand: committed in a resource, or on its way there by an agent that had
  // heard so.
  bool end_alike(const recovery::NewReignPlan& plan) {
    std::set<std::string> committing;
    for (const auto& loss : plan.losses)
      if (loss.state == "committing") committing.insert(loss.transaction);
    for (const auto& loss : plan.losses) {
      const auto id = TransactionId::parse(loss.transaction);
      if (!id || loss.state == "committing" || id->is_one_phase()) continue;
      if (!committing.contains(loss.transaction) && !plan_.stands_committed(*id)) continue;
      resolve(loss, *id);
      return true;
    }
    return false;
  }

  void resolve(const recovery::HeldBranch& held, const TransactionId& id) {
    node_.world().count_rare("a decision that a restore had lost was found in a resource");
    note("resolves", fmt::format("{} in {}: commit", held.transaction, held.resource.value));
    wire::ResolveBranchRequest request;
    request.resource = held.resource.value;
    request.transaction_id = held.transaction;
    request.branch = static_cast<std::int32_t>(held.branch.value);
    request.commit = true;
    request.reason = "it has committed elsewhere";
    request.operator_name = node_.name();
    plan_.ends({id, held.branch});
    // Whose it is, each of them knows for itself.
    auto waiting = std::make_shared<std::size_t>(channels_.size());
    for (auto& channel : channels_) {
      channel->call<wire::Agent_resolve_branch>(
          request, kPatience, [this, waiting](const Result<wire::FinishReply>& reply) {
            if (reply) note("hears", fmt::format("end {}", static_cast<int>(reply->outcome)));
            if (--*waiting == 0) look_later();
          });
    }
  }

  void acquire(EpochNumber above) {
    note("begins a new reign", fmt::format("above epoch {}", above.value));
    ask(store::AcquireEpoch{{random_nonce()}, wall_now(), above}, [this](const store::StoreAnswer& answer) {
      if (!std::holds_alternative<store::EpochAcquired>(answer)) return look_later();
      node_.world().count_rare("a new reign was begun by an operator");
      plan_.done();
      node_.program_ended("a new reign has begun");
    });
  }

  Node& node_;
  const NewReign& plan_;
  asio::io_context loop_;
  asio::steady_timer timer_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::unique_ptr<store::LocalStore> store_;
  OnAnswer on_answer_;
  std::uint64_t last_ticket_ = 0;
  recovery::NewReignFacts facts_;
  std::set<std::string> not_looked_up_;
};

}  // namespace

Node::Boot new_reign_program(NewReign plan) {
  return [plan = std::move(plan)](Node& node) -> std::unique_ptr<Program> {
    auto program = std::make_unique<Restoring>(node, plan);
    if (auto begun = program->start(); !begun) {
      node.program_ended(begun.error().message);
      return nullptr;
    }
    return program;
  };
}

}  // namespace troth::sim
