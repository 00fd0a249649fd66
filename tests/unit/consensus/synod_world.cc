#include "tests/unit/consensus/synod_world.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth::coordinator::consensus {

SynodWorld::SynodWorld(Options options, std::uint64_t seed) : options_(std::move(options)), random_(seed) {
  for (const auto id : options_.configuration.voters)
    replicas_.emplace(id, SynodReplica(id, options_.configuration, options_.timing, options_.defects));
  if (options_.crashes) at(now_ + Duration{random_.between(0, 3'000)}, [this] { crash_or_restart(); });
}

void SynodWorld::propose(const Replicas& proposers, Duration within) {
  proposers_ = proposers;
  for (const auto id : proposers_)
    at(now_ + Duration{random_.between(0, within.count())}, [this, id] {
      auto& replica = replicas_.at(id);
      if (replica.is_up() && !replica.proposer()) propose(replica);
    });
}

void SynodWorld::run(Instant until, const std::function<bool()>& done) {
  while (wrong_.empty() && !done() && !events_.empty() && events_.begin()->first <= until) {
    const auto [when, what] = std::move(*events_.begin());
    events_.erase(events_.begin());
    now_ = when;
    what();
  }
}

void SynodWorld::heal() {
  options_.lost_percent = options_.doubled_percent = 0;
  options_.crashes = false;
  for (auto& [id, replica] : replicas_) {
    if (!replica.is_up()) replica.restart();
    if (!replica.learned() && !replica.due()) propose(replica);
  }
}

bool SynodWorld::all_have_learned() const {
  return std::ranges::all_of(replicas_, [](const auto& each) { return each.second.learned() != nullptr; });
}

std::uint32_t SynodWorld::most_rounds() const {
  std::uint32_t most = 0;
  for (const auto& [id, replica] : replicas_)
    if (const auto& proposer = replica.proposer()) most = std::max(most, proposer->rounds());
  return most;
}

void SynodWorld::at(Instant when, std::function<void()> what) {
  events_.emplace(when, std::move(what));
}

void SynodWorld::propose(SynodReplica& replica) {
  auto value = fmt::format("{}-{}", replica.self().value, proposed_.size());
  proposed_.insert(value);
  replica.propose(now_, random_, std::make_shared<const std::string>(std::move(value)));
  after_step(replica);
}

void SynodWorld::after_step(SynodReplica& replica) {
  const auto id = replica.self();
  for (const auto& envelope : replica.take_sent())
    carry(envelope);
  if (replica.disk_is_busy()) {
    const auto start = starts_[id];
    at(now_ + Duration{random_.between(0, options_.longest_write.count())}, [this, id, start] {
      if (starts_[id] == start) write_next(id);
    });
  }
  if (const auto due = replica.due()) at(*due, [this, id] { wake(id); });
  look_at(replica);
}

void SynodWorld::carry(const SynodEnvelope& envelope) {
  ++counts_.messages;
  const bool to_itself = envelope.from == envelope.to;
  if (!to_itself && random_.below(100) < options_.lost_percent) return;
  const int copies = random_.below(100) < options_.doubled_percent ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    auto delay = random_.between(options_.shortest_delay.count(), options_.longest_delay.count());
    if (copy > 0) delay += random_.between(0, 50 * options_.longest_delay.count());
    at(to_itself ? now_ : now_ + Duration{delay}, [this, envelope] {
      auto& replica = replicas_.at(envelope.to);
      replica.hear(now_, random_, envelope);
      after_step(replica);
    });
  }
}

void SynodWorld::write_next(ReplicaId id) {
  auto& replica = replicas_.at(id);
  if (!replica.is_up() || !replica.disk_is_busy()) return;
  replica.written();
  after_step(replica);
}

void SynodWorld::wake(ReplicaId id) {
  auto& replica = replicas_.at(id);
  if (const auto due = replica.due(); !due || *due > now_) return;
  replica.time_passed(now_, random_);
  after_step(replica);
}

void SynodWorld::crash_or_restart() {
  if (!options_.crashes) return;
  auto& [id, replica] =
      *std::next(replicas_.begin(), static_cast<std::ptrdiff_t>(random_.below(replicas_.size())));
  if (replica.is_up()) {
    ++counts_.crashes;
    counts_.writes_lost += replica.disk_is_busy() ? 1U : 0U;
    ++starts_[id];
    replica.crash();
  } else {
    replica.restart();
    if (replica.durable().accepted) ++counts_.restarted_with_acceptance;
    if (proposers_.contains(id)) propose(replica);
  }
  at(now_ + Duration{random_.between(0, 3'000)}, [this] { crash_or_restart(); });
}

// Agreement: one value for each ballot, one value chosen for ever, and only what is chosen is learned.
void SynodWorld::look_at(const SynodReplica& replica) {
  const auto say = [&](std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  };
  if (const auto& accepted = replica.durable().accepted) {
    auto& [value, by] = accepted_[accepted->ballot];
    if (value && *value != *accepted->value)
      say(fmt::format("ballot {} proposed {} and {}", text_of(accepted->ballot), *value, *accepted->value));
    value = accepted->value;
    by.insert(replica.self());
    if (votes_of(by, options_.configuration) >= options_.configuration.quorums.write) {
      if (chosen_ && *chosen_ != *value) say(fmt::format("{} was chosen, and then {}", *chosen_, *value));
      if (!proposed_.contains(*value)) say(fmt::format("{} was chosen, and nobody proposed it", *value));
      if (!chosen_) chosen_ = value;
    }
  }
  if (replica.learned() && (!chosen_ || *chosen_ != *replica.learned()))
    say(fmt::format("{} has learned {}, and chosen is {}", replica.self().value, *replica.learned(),
                    chosen_ ? *chosen_ : "nothing"));
}

}  // namespace troth::coordinator::consensus
