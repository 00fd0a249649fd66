#include "tests/sim/operator/group_operator.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth::sim {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);
constexpr std::int64_t kNear = 20;  // slots that a learner may lack

using Members = std::set<std::int32_t>;

struct Group {
  Members voters;
  Members learners;
};

class GroupOperator final : public Program {
 public:
  GroupOperator(Node& node, const GroupOperatorPlan& plan)
      : node_(node), world_(node.world()), plan_(plan), loop_(node), timer_(loop_) {
    for (const auto& address : plan_.coordinators)
      coordinators_.push_back(
          std::make_unique<rpc::Channel>(loop_, *rpc::Address::parse(address), rpc::ChannelOptions{}));
    look_later();
  }

 private:
  Random& random() { return world_.random(Purpose::kGroupOperator); }

  void note(std::string_view what, const std::string& text) {
    world_.trace().event(world_.now(), node_.name(), what, 0, [&] { return text; });
  }

  void look_later() {
    timer_.expires_after(world_.draw(Purpose::kGroupOperator, Duration(20'000), plan_.pause));
    timer_.async_wait([this](const asio::error_code& stopped) {
      if (!stopped && !plan_.is_over()) look();
    });
  }

  // Everybody tells of itself; what is to be done follows from what the leader says.
  void look() {
    shown_.clear();
    const auto waits = std::make_shared<std::size_t>(coordinators_.size());
    for (auto& coordinator : coordinators_) {
      coordinator->call<wire::Administration_group_status>(
          kPatience, [this, waits](const Result<wire::GroupStatus>& status) {
            if (status) shown_[status->replica] = *status;
            if (--*waits == 0) act();
          });
    }
  }

  [[nodiscard]] const wire::GroupStatus* leader() const {
    for (const auto& [replica, status] : shown_)
      if (status.state == "leads") return &status;
    return nullptr;
  }

  [[nodiscard]] bool is_gone(std::int32_t replica) const {
    const auto shown = shown_.find(replica);
    return plan_.is_lost(static_cast<std::uint32_t>(replica)) ||
           (shown != shown_.end() && shown->second.standing == "set back");
  }

  // Can it do without the one whose disk may be damaged? Of three that lose one for good, another whose last batch was torn
  // waits for ever (consensus/standing.h): there have to be four.
  [[nodiscard]] bool is_sound(const Members& voters) const {
    const auto good = std::ranges::count_if(voters, [&](std::int32_t each) {
      return shown_.contains(each) && !is_gone(each) && each != static_cast<std::int32_t>(plan_.doubtful);
    });
    if (plan_.may_lose && voters.contains(static_cast<std::int32_t>(plan_.doubtful)) && voters.size() < 4)
      return false;
    return voters.size() >= plan_.least && static_cast<std::size_t>(good) >= voters.size() / 2 + 1;
  }

  std::int32_t one_of(const Members& members) {
    return *std::next(members.begin(), static_cast<std::ptrdiff_t>(random().below(members.size())));
  }

  void act() {
    const auto* status = leader();
    if (status == nullptr || plan_.is_over()) return look_later();
    const Group now{{status->voters.begin(), status->voters.end()},
                    {status->learners.begin(), status->learners.end()}};
    Members gone;
    std::ranges::copy_if(now.voters, std::inserter(gone, gone.end()),
                         [&](std::int32_t each) { return is_gone(each); });
    if (!gone.empty() && !random().one_in(4)) {
      if (auto next = without(now, *gone.begin()); is_sound(next.voters)) {
        world_.count_rare("a replica that was lost, or set back, was removed");
        return change(*status, next, fmt::format("removes {}, which is gone", *gone.begin()));
      }
    }
    if (!now.learners.empty() && !random().one_in(4)) return promote(*status, now);
    if (random().one_in(3)) return transfer(*status, one_of(now.voters));
    Members others;
    for (std::int32_t each = 1; each <= static_cast<std::int32_t>(coordinators_.size()); ++each)
      if (!now.voters.contains(each) && !now.learners.contains(each) && !is_gone(each)) others.insert(each);
    if (!others.empty() && !random().one_in(4)) {
      auto next = now;
      const auto added = one_of(others);
      next.learners.insert(added);
      return change(*status, next, fmt::format("adds {} as a learner", added));
    }
    const auto removed =
        now.learners.empty() || random().one_in(2) ? one_of(now.voters) : one_of(now.learners);
    auto next = without(now, removed);
    if (!is_sound(next.voters)) return look_later();
    change(*status, next, fmt::format("removes {}", removed));
  }

  static Group without(Group group, std::int32_t replica) {
    group.voters.erase(replica);
    group.learners.erase(replica);
    return group;
  }

  void promote(const wire::GroupStatus& status, const Group& now) {
    const auto learner = one_of(now.learners);
    const auto shown = shown_.find(learner);
    const bool is_near = shown != shown_.end() && shown->second.chosen + kNear >= status.chosen;
    const bool is_hasty = random().one_in(4);
    auto next = now;
    next.learners.erase(learner);
    next.voters.insert(learner);
    if ((!is_near && !is_hasty) || is_gone(learner) || !is_sound(next.voters)) return look_later();
    if (!is_near) world_.count_rare("a learner was promoted before it had learned");
    change(status, next, fmt::format("promotes {}", learner));
  }

  void change(const wire::GroupStatus& status, const Group& next, const std::string& what) {
    wire::ChangeGroupRequest request;
    request.voters.assign(next.voters.begin(), next.voters.end());
    request.learners.assign(next.learners.begin(), next.learners.end());
    request.reason = what;
    request.operator_name = node_.name();
    note("changes", fmt::format("{}: voters {}; learners {}", what, fmt::join(request.voters, ", "),
                                fmt::join(request.learners, ", ")));
    call_of(status).call<wire::Administration_change_group>(
        request, kPatience, [this](const Result<wire::GroupStatus>& after) { hear(after); });
  }

  void transfer(const wire::GroupStatus& status, std::int32_t to) {
    wire::TransferLeadRequest request;
    request.to = to;
    request.reason = "its turn";
    request.operator_name = node_.name();
    note("transfers", fmt::format("the lead to {}", to));
    call_of(status).call<wire::Administration_transfer_lead>(
        request, kPatience, [this, from = status.replica, to](const Result<wire::GroupStatus>& after) {
          if (after && from != to) world_.count_rare("the lead was transferred");
          hear(after);
        });
  }

  rpc::Channel& call_of(const wire::GroupStatus& status) {
    return *coordinators_[static_cast<std::size_t>(status.replica) - 1];
  }

  void hear(const Result<wire::GroupStatus>& after) {
    note("hears", after ? fmt::format("done: voters {}; learners {}", fmt::join(after->voters, ", "),
                                      fmt::join(after->learners, ", "))
                        : after.error().message);
    if (!after && after.error().effect == Effect::kUnknown)
      world_.count_rare("how a change of the group went was unknown");
    look_later();
  }

  Node& node_;
  World& world_;
  const GroupOperatorPlan& plan_;
  asio::io_context loop_;
  std::vector<std::unique_ptr<rpc::Channel>> coordinators_;
  asio::steady_timer timer_;
  std::map<std::int32_t, wire::GroupStatus> shown_;
};

}  // namespace

Node::Boot group_operator_program(GroupOperatorPlan plan) {
  return [plan = std::move(plan)](Node& node) { return std::make_unique<GroupOperator>(node, plan); };
}

}  // namespace troth::sim
