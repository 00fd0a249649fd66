#include "coordinator/runtime/group_administration.h"

#include <chrono>
#include <utility>

#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/version.h"

namespace troth::coordinator {
namespace {

constexpr Duration kTransferTime = std::chrono::seconds(2);
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
  const auto replicas_of = [](const std::vector<std::int32_t>& numbers) {
    consensus::Replicas replicas;
    for (const auto number : numbers)
      replicas.insert({static_cast<std::uint32_t>(number)});
    return replicas;
  };
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
  replica_.store().change(*std::move(next), [this, done = std::move(done)](const Status& outcome) {
    if (!outcome) return done(std::unexpected(outcome.error()));
    done(status());
  });
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
  owner_.finish_reign([this, to, done = std::move(done)] {
    watch(std::make_shared<Transfer>(Transfer{to, boot_now() + kTransferTime, done}));
  });
}

// Its caller may have been served by somebody who leads no longer when it is over.
void GroupAdministration::watch(const std::shared_ptr<Transfer>& transfer) {
  const bool is_done = replica_.leader() == transfer->to;
  if (is_done || boot_now() >= transfer->until) transferring_ = false;
  if (is_done) return transfer->done(status());
  if (boot_now() >= transfer->until) {
    owner_.go_on();
    return transfer->done(fail(
        ErrorCode::kUnavailable, Effect::kUnknown,
        fmt::format("replica {} does not lead yet: look at the group, and ask again", transfer->to.value)));
  }
  // Asked again and again: the store does nothing while its successor was not heard of just now, as in the first moments of a
  // lead, and gives up one that is slow.
  if (replica_.leads()) replica_.store().transfer_to(transfer->to);
  const auto timer = std::make_shared<asio::steady_timer>(loop_, kLook);
  timer->async_wait(lifetime_.guard([this, timer, transfer](const asio::error_code& stopped) {
    if (!stopped) watch(transfer);
  }));
}

}  // namespace troth::coordinator
