#include "coordinator/decision_store/snapshot_pull.h"

#include <algorithm>
#include <utility>

namespace troth::coordinator::store {

using consensus::ReplicaId;

SnapshotPull::Effects SnapshotPull::offered(ReplicaId by, const SnapshotOffered& offer,
                                            consensus::Slot applied, Instant now) {
  if (offer.cluster != cluster_ || offer.bytes == 0 || offer.name.slot <= applied) return {};
  if (failed_ == offer.name && now < failed_until_) return {};
  if (std::holds_alternative<Installing>(role_)) return {};
  auto* known = std::get_if<Pulling>(&role_);
  if (known != nullptr && now - known->heard < timing_.silence) return {};
  Effects effects;
  const bool goes_on = known != nullptr && known->offer == offer;
  if (!goes_on) {
    known = &role_.emplace<Pulling>(Pulling{.offer = offer});
    effects.emplace_back(Begin{offer.name});
  }
  known->source = by;
  known->heard = now;
  known->wait = timing_.resend;
  ask_again(*known, now, effects);
  return effects;
}

SnapshotPull::Effect SnapshotPull::ask(const Pulling& pulling, std::uint64_t offset) {
  return Ask{pulling.source, {pulling.offer.name, offset}};
}

void SnapshotPull::ask_ahead(Pulling& pulling, Effects& effects) {
  if (pulling.chunk == 0) return;
  const auto end = std::min(pulling.offer.bytes, pulling.stored + kMostAhead * pulling.chunk);
  for (; pulling.asked < end; pulling.asked += pulling.chunk)
    if (!pulling.early.contains(pulling.asked)) effects.push_back(ask(pulling, pulling.asked));
}

void SnapshotPull::ask_again(Pulling& pulling, Instant now, Effects& effects) const {
  pulling.resend = now + pulling.wait;
  pulling.wait = std::min(2 * pulling.wait, timing_.silence);
  pulling.asked = pulling.have;
  if (pulling.chunk > 0) return ask_ahead(pulling, effects);
  effects.push_back(ask(pulling, pulling.have));
}

SnapshotPull::Pulling* SnapshotPull::pulling(const SnapshotName& name) {
  auto* pulling = std::get_if<Pulling>(&role_);
  return pulling != nullptr && pulling->offer.name == name ? pulling : nullptr;
}

SnapshotPull::Effects SnapshotPull::chunk_received(ReplicaId from, ChunkSent chunk, Instant now) {
  auto* pulling = this->pulling(chunk.name);
  if (pulling == nullptr || pulling->source != from || chunk.bytes.empty() || chunk.offset < pulling->have ||
      chunk.offset > pulling->offer.bytes || chunk.bytes.size() > pulling->offer.bytes - chunk.offset)
    return {};
  const auto rest = pulling->offer.bytes - chunk.offset;
  if (chunk.offset == pulling->have && chunk.bytes.size() != std::min(pulling->chunk, rest)) {
    // Its source tells how large they are; another source may have another mind.
    pulling->chunk = chunk.bytes.size();
    pulling->asked = pulling->have + pulling->chunk;
    pulling->early.clear();
  }
  const bool is_asked = chunk.offset < pulling->asked && (chunk.offset - pulling->have) % pulling->chunk == 0;
  if (!is_asked || chunk.bytes.size() != std::min(pulling->chunk, rest)) return {};
  if (!pulling->early.emplace(chunk.offset, std::move(chunk.bytes)).second) return {};
  pulling->heard = now;
  pulling->wait = timing_.resend;
  pulling->resend = now + timing_.resend;
  Effects effects;
  auto next = pulling->early.begin();
  for (; next != pulling->early.end() && next->first == pulling->have; next = pulling->early.erase(next)) {
    pulling->have += next->second.size();
    effects.emplace_back(Store{pulling->offer.name, next->first, std::move(next->second)});
  }
  ask_ahead(*pulling, effects);
  return effects;
}

SnapshotPull::Effects SnapshotPull::withdrawn(ReplicaId by, const SnapshotWithdrawn& withdrawn) {
  auto* pulling = this->pulling(withdrawn.name);
  if (pulling == nullptr || pulling->source != by) return {};
  return given_up();
}

SnapshotPull::Effects SnapshotPull::stored(const SnapshotName& name, std::uint64_t bytes, Instant now) {
  auto* pulling = this->pulling(name);
  if (pulling == nullptr || bytes > pulling->have - pulling->stored) return {};
  pulling->stored += bytes;
  // A slow own disk is not the source's silence.
  pulling->heard = now;
  if (pulling->stored == pulling->offer.bytes) {
    role_ = Installing{name};
    return {Install{name}};
  }
  Effects effects;
  ask_ahead(*pulling, effects);
  return effects;
}

void SnapshotPull::failed(Instant now) {
  failed_ = coming();
  failed_until_ = now + timing_.failed;
  role_ = Idle{};
}

SnapshotPull::Effects SnapshotPull::given_up() {
  if (!std::holds_alternative<Pulling>(role_)) return {};
  role_ = Idle{};
  return {Drop{}};
}

SnapshotPull::Effects SnapshotPull::time_passed(Instant now) {
  auto* pulling = std::get_if<Pulling>(&role_);
  if (pulling == nullptr || pulling->stored < pulling->have) return {};
  if (now - pulling->heard >= timing_.give_up) return given_up();
  if (now < pulling->resend) return {};
  Effects effects;
  ask_again(*pulling, now, effects);
  return effects;
}

Instant SnapshotPull::wakes_at() const {
  const auto* pulling = std::get_if<Pulling>(&role_);
  return pulling != nullptr && pulling->stored == pulling->have ? pulling->resend : Instant::max();
}

std::optional<SnapshotName> SnapshotPull::coming() const {
  if (const auto* pulling = std::get_if<Pulling>(&role_)) return pulling->offer.name;
  if (const auto* installing = std::get_if<Installing>(&role_)) return installing->name;
  return std::nullopt;
}

}  // namespace troth::coordinator::store
