#include "coordinator/decision_store/snapshot_pull.h"

#include <utility>

namespace troth::coordinator::store {

using consensus::ReplicaId;

SnapshotPull::Effects SnapshotPull::offered(ReplicaId by, const SnapshotOffered& offer,
                                            consensus::Slot applied, Instant now) {
  if (offer.cluster != cluster_ || offer.bytes == 0 || offer.name.slot <= applied) return {};
  if (failed_ == offer.name && now < failed_until_) return {};
  if (std::holds_alternative<Installing>(role_)) return {};
  if (const auto* pulling = std::get_if<Pulling>(&role_);
      pulling != nullptr && now - pulling->heard < timing_.silence)
    return {};
  auto& pulling = role_.emplace<Pulling>(Pulling{.source = by, .offer = offer, .heard = now, .resend = now});
  return {Begin{offer.name}, ask(pulling, now)};
}

SnapshotPull::Effect SnapshotPull::ask(Pulling& pulling, Instant now) const {
  pulling.resend = now + timing_.resend;
  return Ask{pulling.source, {pulling.offer.name, pulling.have}};
}

SnapshotPull::Pulling* SnapshotPull::pulling(const SnapshotName& name) {
  auto* pulling = std::get_if<Pulling>(&role_);
  return pulling != nullptr && pulling->offer.name == name ? pulling : nullptr;
}

SnapshotPull::Effects SnapshotPull::chunk_received(ReplicaId from, ChunkSent chunk, Instant now) {
  auto* pulling = this->pulling(chunk.name);
  if (pulling == nullptr || pulling->source != from || pulling->storing || chunk.offset != pulling->have ||
      chunk.bytes.empty() || chunk.bytes.size() > pulling->offer.bytes - pulling->have)
    return {};
  pulling->heard = now;
  pulling->storing = true;
  return {Store{chunk.name, chunk.offset, std::move(chunk.bytes)}};
}

SnapshotPull::Effects SnapshotPull::withdrawn(ReplicaId by, const SnapshotWithdrawn& withdrawn) {
  auto* pulling = this->pulling(withdrawn.name);
  if (pulling == nullptr || pulling->source != by) return {};
  return given_up();
}

SnapshotPull::Effects SnapshotPull::stored(const SnapshotName& name, std::uint64_t bytes, Instant now) {
  auto* pulling = this->pulling(name);
  if (pulling == nullptr || !pulling->storing) return {};
  pulling->storing = false;
  pulling->have += bytes;
  // A slow own disk is not the source's silence.
  pulling->heard = now;
  if (pulling->have < pulling->offer.bytes) return {ask(*pulling, now)};
  role_ = Installing{name};
  return {Install{name}};
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
  if (pulling == nullptr || pulling->storing) return {};
  if (now - pulling->heard >= timing_.give_up) return given_up();
  if (now < pulling->resend) return {};
  return {ask(*pulling, now)};
}

Instant SnapshotPull::wakes_at() const {
  const auto* pulling = std::get_if<Pulling>(&role_);
  return pulling != nullptr && !pulling->storing ? pulling->resend : Instant::max();
}

std::optional<SnapshotName> SnapshotPull::coming() const {
  if (const auto* pulling = std::get_if<Pulling>(&role_)) return pulling->offer.name;
  if (const auto* installing = std::get_if<Installing>(&role_)) return installing->name;
  return std::nullopt;
}

}  // namespace troth::coordinator::store
