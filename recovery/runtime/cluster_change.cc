// troth cluster add, remove, replace, transfer: who belongs to a group of coordinators, and who leads it.
#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/clock.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/group_view.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

constexpr auto kPause = std::chrono::milliseconds(500);

// It would be the same a moment later, whatever happens meanwhile.
bool is_final(const Error& error) {
  return error.code != ErrorCode::kUnavailable && error.code != ErrorCode::kBusy &&
         error.code != ErrorCode::kTimeout;
}

std::vector<std::int32_t> wire_of(const ReplicaNumbers& replicas) {
  return {replicas.begin(), replicas.end()};
}

// Who does not lead knows of members what may be long past.
std::unexpected<Error> nobody_leads() {
  return fail(ErrorCode::kUnavailable, Effect::kNone, "no coordinator that answers leads");
}

class Change {
 public:
  Change(const ChangeClusterCommand& command, const Surroundings& around, Console& console)
      : command_(command), around_(around), console_(console), until_(boot_now() + command.timeout) {}

  // How the group stands when it is as wished.
  Result<GroupView> carry_out() {
    for (;;) {
      auto view = look_at_group(around_);
      if (!view && is_final(view.error())) return give_up(view.error());
      if (view && !view->led) view = nobody_leads();
      if (view) {
        const auto step = next_step(view->members(), command_.wish);
        if (!step) return give_up(step.error());
        if (!*step && view->told.settled) return view;
        if (*step) {
          auto done = take(**step, *view);
          if (done) continue;
          if (is_final(done.error()) && done.error().effect == Effect::kNone) return give_up(done.error());
          view = std::unexpected(std::move(done.error()));
        }
      }
      if (boot_now() >= until_) return too_late(view);
      if (!view) note(view.error().message);
      std::this_thread::sleep_for(kPause);
    }
  }
  [[nodiscard]] const std::vector<std::string>& steps() const { return steps_; }
  // This command changed nothing, for certain.
  [[nodiscard]] bool was_needless() const { return steps_.empty() && !unanswered_; }

 private:
  Status take(const GroupStep& step, const GroupView& view) {
    const auto coordinator = channel_to_coordinator(around_);
    if (!coordinator) return std::unexpected(coordinator.error());
    if (auto stays = let_another_lead(step, view, **coordinator); !stays) return stays;
    const auto now = view.members();
    const auto quorums = quorums_of(now, view.quorums(), step, command_.may_become_majorities);
    if (!quorums) return std::unexpected(quorums.error());
    wire::ChangeGroupRequest request;
    request.voters = wire_of(step.next.voters);
    request.learners = wire_of(step.next.learners);
    request.__set_from_voters(wire_of(now.voters));
    request.__set_from_learners(wire_of(now.learners));
    request.write_quorum = static_cast<std::int32_t>(quorums->write);
    request.elect_quorum = static_cast<std::int32_t>(quorums->elect);
    request.read_quorum = static_cast<std::int32_t>(quorums->read);
    request.reason = command_.reason;
    request.operator_name = around_.operator_name;
    const auto changed = (*coordinator)->call<wire::Administration_change_group>(request, kPatiently);
    if (!changed) return not_done(changed.error());
    was_done(step.what);
    return {};
  }

  // Who leads and is to go hands over first: it finishes what runs, where a removal would fence it.
  Status let_another_lead(const GroupStep& step, const GroupView& view, rpc::BlockingChannel& coordinator) {
    const auto leader = static_cast<std::uint32_t>(view.told.replica);
    if (!view.led || step.next.voters.contains(leader)) return {};
    const auto is_reached = [&](std::uint32_t replica) {
      return std::ranges::any_of(view.told.others, [&](const wire::PeerStatus& each) {
        return static_cast<std::uint32_t>(each.replica) == replica && each.reached;
      });
    };
    const auto stays = std::ranges::find_if(view.replicas, [&](const ReplicaView& each) {
      return step.next.voters.contains(each.replica) && each.status && each.status->standing == "votes" &&
             is_reached(each.replica);
    });
    if (stays == view.replicas.end()) return {};  // the change itself says what is missing
    wire::TransferLeadRequest request;
    request.to = static_cast<std::int32_t>(stays->replica);
    request.reason = command_.reason;
    request.operator_name = around_.operator_name;
    const auto led = coordinator.call<wire::Administration_transfer_lead>(request, kPatiently);
    if (!led) return not_done(led.error());
    was_done(fmt::format("replica {} leads", stays->replica));
    return {};
  }

  Status not_done(const Error& error) {
    if (error.effect != Effect::kNone) unanswered_ = true;
    return std::unexpected(error);
  }

  void was_done(const std::string& what) {
    steps_.push_back(what);
    note(what);
  }

  Result<GroupView> give_up(Error why) const {
    return std::unexpected(ended_early(std::move(why), steps_, unanswered_));
  }

  Result<GroupView> too_late(const Result<GroupView>& view) const {
    return give_up({.code = ErrorCode::kTimeout,
                    .effect = Effect::kNone,
                    .message = fmt::format("not done within {} s{}", command_.timeout.count(),
                                           view ? "" : ": " + view.error().message)});
  }

  // Each reason to wait once.
  void note(const std::string& text) {
    if (text != std::exchange(noted_, text)) console_.note(text);
  }

  const ChangeClusterCommand& command_;
  const Surroundings& around_;
  Console& console_;
  const Instant until_;
  std::vector<std::string> steps_;
  std::string noted_;
  bool unanswered_ = false;  // a call that changes something ended without a word on whether it did
};

ExitCode nobody_asks(Console& console) {
  return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
}

}  // namespace

ExitCode run(const ChangeClusterCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty()) return nobody_asks(console);
  Change change(command, around, console);
  const auto view = change.carry_out();
  if (!view) return console.complain(view.error(), {.advice = "look at the group: `troth cluster status`"});
  console.answer(
      [&] {
        return fmt::format("{}{}\n\n{}", done_text(command.wish),
                           change.was_needless() ? " already; nothing was changed" : "", text_of(*view));
      },
      [&] {
        return Json{{"done", done_text(command.wish)}, {"steps", change.steps()}, {"group", json_of(*view)}};
      });
  return ExitCode::kDone;
}

ExitCode run(const TransferLeadCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty()) return nobody_asks(console);
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return console.complain(coordinator.error());
  wire::TransferLeadRequest request;
  request.to = static_cast<std::int32_t>(command.to);
  request.reason = command.reason;
  request.operator_name = around.operator_name;
  const auto status = (*coordinator)->call<wire::Administration_transfer_lead>(request, kPatiently);
  if (!status)
    return console.complain(status.error(), {.advice = "look at the group: `troth cluster status`"});
  console.answer([&] { return fmt::format("replica {} leads\n", command.to); },
                 [&] { return Json{{"leader", command.to}}; });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
