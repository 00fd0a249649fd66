// The group's engine on three replicas of the log, in virtual time.
#include "coordinator/decision_store/group_engine.h"

#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "tests/unit/consensus/group_world.h"
#include "tests/unit/coordinator/store_conformance.h"

namespace troth::coordinator::store {
namespace {

using namespace std::chrono_literals;
using consensus::GroupWorld;
using consensus::ReplicaId;

// A batch stands in the log as its number in here: how it is written as bytes is tested elsewhere.
class EnginesOnAGroup : public StoreUnderTest {
 public:
  explicit EnginesOnAGroup(std::size_t replicas)
      : world_(1, replicas, consensus::with_majorities(voters(replicas)).quorums) {
    world_.observe([this](ReplicaId id, const consensus::ReplicaEffect& effect) { hear(id, effect); });
    for (const auto id : world_.ids())
      begin(id);
    wait_for_leader();
  }

  Ticket ask(Request request) override {
    const Ticket ticket{++last_ticket_};
    const auto leader = *world_.leader();
    carry_out(leader, engine(leader).step(Asked{ticket, std::move(request)}));
    end_turn(leader);
    return ticket;
  }
  void settle() override {
    stall(false);
    for (int turn = 0; turn < 30; ++turn) {
      world_.run_for(1ms);
      if (const auto leader = world_.leader()) end_turn(*leader);
    }
    stall(true);
  }
  std::optional<StoreAnswer> answer(Ticket ticket) override {
    const auto found = answers_.find(ticket);
    return found == answers_.end() ? std::nullopt : std::optional(found->second);
  }
  // Of the whole group at once.
  void crash(std::size_t surviving) override {
    world_.run_for(2ms);
    for (const auto id : world_.ids())
      world_.crash_keeping(id, surviving);
    stall(false);
    for (const auto id : world_.ids()) {
      begin(id);
      world_.start(id);
    }
    wait_for_leader();
    settle();
  }

  [[nodiscard]] GroupWorld& world() { return world_; }
  [[nodiscard]] GroupEngine& engine(ReplicaId id) { return *engines_.at(id); }
  // Every replica has applied the same.
  void wait_until_even() {
    EXPECT_TRUE(world_.run_until([&] { return world_.is_even(); }, 10s));
  }
  void wait_for_leader() {
    ASSERT_TRUE(world_.run_until([&] { return world_.leader().has_value(); }, 10s));
    stall(true);
  }

 private:
  // While its disk stands still, nothing becomes durable.
  void stall(bool stalled) {
    for (const auto id : world_.ids())
      world_.set_disk_stalled(id, stalled);
  }
  static consensus::Replicas voters(std::size_t count) {
    consensus::Replicas all;
    for (std::uint32_t id = 1; id <= count; ++id)
      all.insert({id});
    return all;
  }

  void begin(ReplicaId id) {
    engines_[id] = std::make_unique<GroupEngine>(BatchOrigin{id, {++last_start_}}, BatchLimits{});
  }

  void hear(ReplicaId id, const consensus::ReplicaEffect& effect) {
    auto& engine = this->engine(id);
    if (const auto* delivered = std::get_if<consensus::Deliver>(&effect)) {
      const auto* command = std::get_if<consensus::Command>(&delivered->entry);
      if (command == nullptr) {
        carry_out(id, engine.step(GroupEngine::SlotPassed{delivered->slot}));
      } else {
        carry_out(id, engine.step(GroupEngine::BatchDelivered{delivered->slot,
                                                              batches_.at(std::stoul(*command->bytes))}));
      }
    } else if (std::holds_alternative<consensus::Lead>(effect)) {
      carry_out(id, engine.step(GroupEngine::LeadBegun{}));
    } else if (std::holds_alternative<consensus::StopLeading>(effect)) {
      carry_out(id, engine.step(GroupEngine::LeadEnded{}));
    } else if (const auto* read = std::get_if<consensus::ReadAt>(&effect)) {
      carry_out(id, engine.step(GroupEngine::ReadConfirmed{{read->ticket.value}}));
    } else if (const auto* refused = std::get_if<consensus::RefuseRead>(&effect)) {
      carry_out(id, engine.step(GroupEngine::ReadRefused{{refused->ticket.value}}));
    }
  }

  void end_turn(ReplicaId id) {
    const auto* log = world_.log(id);
    carry_out(id, engine(id).step(GroupEngine::TurnEnded{log != nullptr && log->can_propose()}));
  }

  void carry_out(ReplicaId id, std::vector<GroupEngine::Effect> effects) {
    for (auto& effect : effects) {
      if (auto* propose = std::get_if<GroupEngine::Propose>(&effect)) {
        batches_.push_back(std::move(propose->batch));
        world_.offer(id, std::to_string(batches_.size() - 1));
      } else if (const auto* read = std::get_if<GroupEngine::ConfirmRead>(&effect)) {
        world_.read(id, read->ticket.value);
      } else if (auto* answered = std::get_if<Answered>(&effect)) {
        EXPECT_TRUE(answers_.emplace(answered->ticket, std::move(answered->answer)).second)
            << "answered twice";
      }
    }
  }

  GroupWorld world_;
  std::map<ReplicaId, std::unique_ptr<GroupEngine>> engines_;
  std::vector<Batch> batches_;
  std::map<Ticket, StoreAnswer> answers_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t last_start_ = 0;
};

const StoreKind kOnOne{"OnOne", [] { return std::make_unique<EnginesOnAGroup>(1); }};
const StoreKind kOnThree{"OnThree", [] { return std::make_unique<EnginesOnAGroup>(3); }};
const StoreKind kOnFive{"OnFive", [] { return std::make_unique<EnginesOnAGroup>(5); }};
INSTANTIATE_TEST_SUITE_P(GroupEngine, StoreConformance, testing::Values(kOnOne, kOnThree, kOnFive),
                         name_of_kind);
INSTANTIATE_TEST_SUITE_P(GroupEngine, StoreThatLosesWrites, testing::Values(kOnOne, kOnThree, kOnFive),
                         name_of_kind);

}  // namespace
}  // namespace troth::coordinator::store
