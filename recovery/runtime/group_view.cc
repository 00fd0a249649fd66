#include "recovery/runtime/group_view.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "recovery/text_table.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// One that is gone costs a look no longer than this.
constexpr auto kPatience = std::chrono::seconds(3);

ReplicaView ask(std::uint32_t replica, const std::string& address, const Surroundings& around) {
  ReplicaView view{.replica = replica, .address = address, .status = std::nullopt, .trouble = {}};
  Surroundings own = around;
  own.coordinator = address;
  const auto coordinator = channel_to_coordinator(own);
  auto status = coordinator ? (*coordinator)->call<wire::Administration_group_status>(kPatience)
                            : Result<wire::GroupStatus>(std::unexpected(coordinator.error()));
  if (status)
    view.status = std::move(*status);
  else
    view.trouble = status.error().message;
  return view;
}

Standpoint standpoint_of(const wire::GroupStatus& status) {
  Standpoint standpoint{.replica = static_cast<std::uint32_t>(status.replica),
                        .leader = {},
                        .leads = status.state == "leads",
                        .round = status.round,
                        .chosen = status.chosen};
  if (status.__isset.leader) standpoint.leader = static_cast<std::uint32_t>(status.leader);
  return standpoint;
}

// Sets whose word counts. `first` is among the replicas.
void believe(GroupView& view, const wire::GroupStatus& first) {
  std::vector<const wire::GroupStatus*> said;
  std::vector<Standpoint> standpoints;
  for (const auto& each : view.replicas) {
    if (!each.status || each.status->cluster != first.cluster) continue;
    said.push_back(&*each.status);
    standpoints.push_back(standpoint_of(*each.status));
  }
  const auto best = believed(standpoints);
  view.told = *said[best.index];
  view.led = best.leads;
}

bool holds(const std::vector<std::int32_t>& numbers, std::uint32_t replica) {
  return std::ranges::find(numbers, static_cast<std::int32_t>(replica)) != numbers.end();
}

std::string role_in(const wire::GroupStatus& told, std::uint32_t replica) {
  if (holds(told.voters, replica)) return "voter";
  if (holds(told.learners, replica)) return "learner";
  return "no member";
}

// What it lacks of what is known to be chosen; the two were not asked at the same moment.
std::int64_t behind(const GroupView& view, const wire::GroupStatus& status) {
  return std::max<std::int64_t>(0, view.told.chosen - status.chosen);
}

std::string state_of(const GroupView& view, const ReplicaView& replica) {
  if (!replica.status) return "does not answer";
  const auto& status = *replica.status;
  if (role_in(view.told, replica.replica) == "voter" && status.standing != "votes")
    return status.state + "; does not vote: " + status.standing;
  if (status.state == "leads" && !status.serves) return "leads; does not decide yet";
  return status.state;
}

std::string headline(const GroupView& view) {
  const auto& told = view.told;
  auto text = fmt::format("group {}: ", told.cluster);
  text += view.led ? fmt::format("replica {} leads, epoch {}\n", told.replica, told.epoch.number)
                   : std::string("no leader is known\n");
  text += fmt::format("{} of [{}]: write {}, elect {}, read {}; lease {} ms\n",
                      counted(static_cast<std::int64_t>(told.voters.size()), "vote"),
                      fmt::join(told.voters, ", "), told.write_quorum, told.elect_quorum, told.read_quorum,
                      told.lease_ms);
  if (!told.settled) text += "a change of the group is not in effect yet\n";
  return text + "\n";
}

}  // namespace

GroupMembers GroupView::members() const {
  GroupMembers members;
  for (const auto each : told.voters)
    members.voters.insert(static_cast<std::uint32_t>(each));
  for (const auto each : told.learners)
    members.learners.insert(static_cast<std::uint32_t>(each));
  return members;
}

QuorumSizes GroupView::quorums() const {
  return {.write = static_cast<std::uint32_t>(told.write_quorum),
          .elect = static_cast<std::uint32_t>(told.elect_quorum),
          .read = static_cast<std::uint32_t>(told.read_quorum)};
}

bool GroupView::is_well() const {
  return led && told.serves && told.settled && std::ranges::all_of(replicas, [&](const ReplicaView& each) {
           const auto role = role_in(told, each.replica);
           if (role == "no member") return true;
           return each.status && (role == "learner" || each.status->standing == "votes");
         });
}

Result<GroupView> look_at_group(const Surroundings& around) {
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return std::unexpected(coordinator.error());
  auto first = (*coordinator)->call<wire::Administration_group_status>(kPromptly);
  if (!first) return std::unexpected(std::move(first.error()));
  GroupView view;
  const auto own = static_cast<std::uint32_t>(first->replica);
  view.replicas.push_back({own, first->address, *first, {}});
  for (const auto& other : first->others)
    view.replicas.push_back(ask(static_cast<std::uint32_t>(other.replica), other.address, around));
  std::ranges::sort(view.replicas, {}, &ReplicaView::replica);
  believe(view, *first);
  return view;
}

std::string text_of(const GroupView& view) {
  TextTable table({"replica", "role", "state", "behind", "snapshot", "log MiB", "version", "address"});
  for (const std::size_t column : {3U, 4U, 5U})
    table.align_right(column);
  std::string troubles;
  for (const auto& each : view.replicas) {
    std::vector<std::string> cells{fmt::format("{}", each.replica), role_in(view.told, each.replica),
                                   state_of(view, each)};
    if (each.status) {
      const auto& status = *each.status;
      for (auto text : {fmt::format("{}", behind(view, status)), fmt::format("{}", status.snapshot),
                        fmt::format("{}", status.log_bytes >> 20), status.version})
        cells.push_back(std::move(text));
    } else {
      cells.insert(cells.end(), 4, "-");
      troubles += fmt::format("replica {}: {}\n", each.replica, printable(each.trouble));
    }
    cells.push_back(each.address);
    table.add(std::move(cells));
  }
  return headline(view) + table.text() + troubles;
}

Json json_of(const GroupView& view) {
  const auto& told = view.told;
  Json replicas = Json::array();
  for (const auto& each : view.replicas) {
    Json one{{"replica", each.replica},
             {"address", each.address},
             {"role", role_in(told, each.replica)},
             {"answers", each.status.has_value()}};
    if (each.status) {
      const auto& status = *each.status;
      one.update({{"state", status.state},
                  {"standing", status.standing},
                  {"leader", status.__isset.leader ? Json(status.leader) : Json()},
                  {"serves", status.serves},
                  {"epoch", status.epoch.number},
                  {"round", status.round},
                  {"chosen", status.chosen},
                  {"behind", behind(view, status)},
                  {"snapshot", status.snapshot},
                  {"log_bytes", status.log_bytes},
                  {"version", status.version},
                  {"clock_ms", status.clock_ms}});
    } else {
      one["trouble"] = each.trouble;
    }
    replicas.push_back(std::move(one));
  }
  return {{"cluster", told.cluster},
          {"leader", view.led ? Json(told.replica) : Json()},
          {"well", view.is_well()},
          {"epoch", told.epoch.number},
          {"voters", told.voters},
          {"learners", told.learners},
          {"write_quorum", told.write_quorum},
          {"elect_quorum", told.elect_quorum},
          {"read_quorum", told.read_quorum},
          {"lease_ms", told.lease_ms},
          {"settled", told.settled},
          {"began", told.began},
          {"replicas", std::move(replicas)}};
}

}  // namespace troth::recovery
