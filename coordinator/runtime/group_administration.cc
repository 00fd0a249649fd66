#include "coordinator/runtime/group_administration.h"

#include <chrono>
#include <utility>

#include <asio/io_context.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/runtime/clock.h"
#include "base/version.h"

namespace troth::coordinator {
namespace {

constexpr Duration kTransferTime = std::chrono::seconds(2);
constexpr Duration kLearnTime = std::chrono::seconds(5);
constexpr Duration kLook = std::chrono::milliseconds(5);

std::int32_t wire_of(consensus::ReplicaId replica) {
  return static_cast<std::int32_t>(replica.value);
}

std::vector<std::int32_t> wire_of(const consensus::Replicas& replicas) {
  std::vector<std::int32_t> numbers;
  for (const auto& replica : replicas)
    numbers.push_back(wire_of(replica));
  return numbers;
}

consensus::Replicas replicas_of(const std::vector<std::int32_t>& numbers) {
  consensus::Replicas replicas;
  for (const auto number : numbers)
    replicas.insert({static_cast<std::uint32_t>(number)});
  return replicas;
}

std::string_view name_of(consensus::Standing::State state) {
  switch (state) {
    case consensus::Standing::State::kAsking: return "asks";
    case consensus::Standing::State::kRecovering: return "recovers";
    case consensus::Standing::State::kVoting: return "votes";
    case consensus::Standing::State::kSetBack: return "set back";
  }
  return "invalid";
}

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

}  // namespace

GroupAdministration::GroupAdministration(asio::io_context& loop, Replica& replica,
                                         const CoordinatorSettings& settings, ClusterId cluster, Owner owner)
    : loop_(loop),
      replica_(replica),
      settings_(settings),
      cluster_(std::move(cluster)),
      owner_(std::move(owner)) {}

wire::GroupStatus GroupAdministration::status() const {
  const auto& store = replica_.store();
  const auto& log = store.log();
  const auto& newest = log.membership().newest();
  wire::GroupStatus status;
  status.cluster = cluster_.value;
  status.replica = wire_of(replica_.self());
  status.version = troth_version();
  const bool follows = replica_.leader() && *replica_.leader() != replica_.self();
  status.state = replica_.leads() ? "leads" : follows ? "follows" : "looks for a leader";
  const bool is_voter = newest.voters.contains(replica_.self());
  const bool is_learner = newest.learners.contains(replica_.self());
  status.standing = is_voter ? name_of(log.standing()) : is_learner ? "learns" : "is no member";
  if (replica_.leader()) status.__set_leader(wire_of(*replica_.leader()));
  status.serves = owner_.serves();
  const auto prefix = store.prefix();
  status.epoch.number = prefix.epoch.number.value;
  status.epoch.nonce = static_cast<std::int64_t>(prefix.epoch.nonce.value);
  status.round = static_cast<std::int64_t>(log.promised().round);
  status.chosen = static_cast<std::int64_t>(log.chosen().value);
  status.snapshot = static_cast<std::int64_t>(store.newest_snapshot().value);
  status.voters = wire_of(newest.voters);
  status.learners = wire_of(newest.learners);
  status.write_quorum = static_cast<std::int32_t>(newest.quorums.write);
  status.elect_quorum = static_cast<std::int32_t>(newest.quorums.elect);
  status.read_quorum = static_cast<std::int32_t>(newest.quorums.read);
  status.lease_ms = std::chrono::duration_cast<std::chrono::milliseconds>(newest.lease_terms.length).count();
  status.settled = log.membership().is_settled(log.chosen());
  status.began = text_of(settings_.group.beginning());
  status.address = settings_.group.find(settings_.group.replica)->address;
  for (const auto& [id, link] : replica_.links()) {
    wire::PeerStatus peer;
    peer.replica = wire_of(id);
    peer.address = settings_.group.find(id.value)->address;
    peer.peer_address = link->address().text();
    peer.reached = link->is_up();
    if (!link->is_up() && !link->trouble().empty()) peer.__set_trouble(link->trouble());
    status.others.push_back(std::move(peer));
  }
  for (const auto& segment : store.segments())
    status.log_bytes += static_cast<std::int64_t>(segment.file_bytes);
  status.clock_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  return status;
}

// What the request does not say of quorums is the smallest majority; the lease stays as it is.
Result<consensus::Configuration> GroupAdministration::configuration_of(
    const wire::ChangeGroupRequest& request) const {
  auto next = consensus::with_majorities(replicas_of(request.voters));
  next.learners = replicas_of(request.learners);
  const auto set = [](std::uint32_t& quorum, std::int32_t wished) {
    if (wished != 0) quorum = static_cast<std::uint32_t>(wished);
  };
  set(next.quorums.write, request.write_quorum);
  set(next.quorums.elect, request.elect_quorum);
  set(next.quorums.read, request.read_quorum);
  next.lease_terms = replica_.store().log().membership().newest().lease_terms;
  for (const auto& replica : next.everybody()) {
    if (replica == replica_.self()) continue;
    const auto link = replica_.links().find(replica);
    if (link == replica_.links().end())
      return invalid(
          fmt::format("[[replicas]] of the leader, replica {}, does not name replica {}: list it at every "
                      "coordinator, and start each again",
                      replica_.self().value, replica.value));
  }
  return next;
}

void GroupAdministration::change(const wire::ChangeGroupRequest& request, Done done) {
  auto next = configuration_of(request);
  if (!next) return done(std::unexpected(std::move(next.error())));
  if (auto same = check_from(request); !same) return done(std::unexpected(std::move(same.error())));
  if (auto sound = consensus::check_change(replica_.store().log().membership().newest(), *next); !sound)
    return done(std::unexpected(std::move(sound.error())));
  change_when_learned(request, *next, boot_now() + kLearnTime, done);
}

// Two operators who look at the same moment would each ask for all that they saw, and the later one would undo the other's change.
Status GroupAdministration::check_from(const wire::ChangeGroupRequest& request) const {
  const auto& now = replica_.store().log().membership().newest();
  const bool same_voters = !request.__isset.from_voters || replicas_of(request.from_voters) == now.voters;
  const bool same_learners =
      !request.__isset.from_learners || replicas_of(request.from_learners) == now.learners;
  if (same_voters && same_learners) return {};
  return fail(ErrorCode::kBusy, Effect::kNone,
              fmt::format("the group was changed meanwhile: voters {}; learners {}; look, and ask again",
                          fmt::join(wire_of(now.voters), ", "), fmt::join(wire_of(now.learners), ", ")));
}

void GroupAdministration::change_when_learned(const wire::ChangeGroupRequest& request,
                                              const consensus::Configuration& next, Instant until,
                                              const Done& done) {
  if (auto same = check_from(request); !same) return done(std::unexpected(std::move(same.error())));
  if (auto learned = check_voters(next); !learned) {
    if (learned.error().code != ErrorCode::kUnavailable || !replica_.leads() || boot_now() >= until)
      return done(std::unexpected(std::move(learned.error())));
    const auto timer = std::make_shared<asio::steady_timer>(loop_, kLook);
    return timer->async_wait(
        lifetime_.guard([this, timer, request, next, until, done](const asio::error_code& stopped) {
          if (!stopped) change_when_learned(request, next, until, done);
        }));
  }
  replica_.store().change(next, [this, done](const Status& outcome) {
    if (!outcome) return done(std::unexpected(outcome.error()));
    done(status());
  });
}

// A vote that cannot come raises what a majority needs, and brings nothing; and behind the change there has to be a quorum.
Status GroupAdministration::check_voters(const consensus::Configuration& next) const {
  const auto& log = replica_.store().log();
  const auto& now = log.membership().newest();
  for (const auto& voter : next.voters) {
    if (now.voters.contains(voter) || voter == replica_.self()) continue;
    if (!now.learners.contains(voter))
      return invalid(
          fmt::format("replica {} cannot vote before it has learned what is chosen: add it as a "
                      "learner, and give it its vote when it has caught up",
                      voter.value));
    const auto behind = log.behind(voter);
    if (behind && *behind <= consensus::kWindow) continue;
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                behind
                    ? fmt::format("replica {} lacks {} slots of what is chosen: ask again when it has "
                                  "caught up",
                                  voter.value, *behind)
                    : fmt::format("replica {} does not answer the leader, replica {}, as one that can vote: "
                                  "see its log, and what `troth cluster status` says of it",
                                  voter.value, replica_.self().value));
  }
  const auto answering = static_cast<std::uint32_t>(std::ranges::count_if(
      next.voters, [&](auto voter) { return voter == replica_.self() || log.behind(voter).has_value(); }));
  const auto needed = std::max(next.quorums.write, next.quorums.elect);
  if (answering >= needed) return {};
  return fail(
      ErrorCode::kUnavailable, Effect::kNone,
      fmt::format("only {} of the {} that would vote answer the leader now, and {} would be needed for "
                  "a quorum: nothing could be decided behind this change",
                  answering, next.voters.size(), needed));
}

void GroupAdministration::transfer(consensus::ReplicaId to, Done done) {
  if (replica_.leads() && to == replica_.self()) return done(status());
  if (!replica_.store().log().membership().newest().voters.contains(to))
    return done(invalid(fmt::format("replica {} does not vote, so it cannot lead", to.value)));
  const auto link = replica_.links().find(to);
  if (link == replica_.links().end() || !link->second->is_up()) {
    return done(fail(ErrorCode::kUnavailable, Effect::kNone,
                     fmt::format("replica {} cannot be reached from the leader, replica {}", to.value,
                                 replica_.self().value)));
  }
  if (std::exchange(transferring_, true)) {
    auto busy = fail(ErrorCode::kBusy, Effect::kNone, "the lead is being handed over already");
    busy.error().retryable = true;
    return done(std::move(busy));
  }
  wait_for_successor(std::make_shared<Transfer>(Transfer{to, boot_now() + kTransferTime, std::move(done)}));
}

// No reign ends for one that does not answer, or does not vote yet after its start.
void GroupAdministration::wait_for_successor(const std::shared_ptr<Transfer>& transfer) {
  const auto to = transfer->to.value;
  if (!replica_.leads()) {
    return end(*transfer, fail(ErrorCode::kUnavailable, Effect::kNone,
                               fmt::format("the lead was lost before it was handed over to replica {}", to)));
  }
  if (replica_.store().log().may_hand_over_to(transfer->to)) {
    return owner_.finish_reign([this, transfer] {
      transfer->until = boot_now() + kTransferTime;
      watch(transfer);
    });
  }
  if (boot_now() >= transfer->until) {
    return end(*transfer,
               fail(ErrorCode::kUnavailable, Effect::kNone,
                    fmt::format("replica {} is connected, and does not answer its leader as one that "
                                "votes: see what `troth cluster status` says of it",
                                to)));
  }
  look_again(transfer, &GroupAdministration::wait_for_successor);
}

// Its caller may have been served by somebody who leads no longer when it is over. What the group gives up, because its successor
// was slow, is asked for again.
void GroupAdministration::watch(const std::shared_ptr<Transfer>& transfer) {
  const auto leader = replica_.leader();
  const auto to = transfer->to.value;
  if (leader == transfer->to) return end(*transfer, status());
  if (leader && *leader != replica_.self()) {
    return end(*transfer, fail(ErrorCode::kUnavailable, Effect::kUnknown,
                               fmt::format("replica {} leads, and not replica {}", leader->value, to)));
  }
  if (boot_now() >= transfer->until) {
    owner_.go_on();
    return end(*transfer,
               fail(ErrorCode::kUnavailable, Effect::kUnknown,
                    fmt::format("replica {} does not lead yet: look at the group, and ask again", to)));
  }
  if (replica_.leads() && !owner_.serves()) replica_.store().transfer_to(transfer->to);
  look_again(transfer, &GroupAdministration::watch);
}

void GroupAdministration::look_again(const std::shared_ptr<Transfer>& transfer,
                                     void (GroupAdministration::*look)(const std::shared_ptr<Transfer>&)) {
  const auto timer = std::make_shared<asio::steady_timer>(loop_, kLook);
  timer->async_wait(lifetime_.guard([this, timer, transfer, look](const asio::error_code& stopped) {
    if (!stopped) (this->*look)(transfer);
  }));
}

void GroupAdministration::end(const Transfer& transfer, const Result<wire::GroupStatus>& outcome) {
  transferring_ = false;
  transfer.done(outcome);
}

}  // namespace troth::coordinator
