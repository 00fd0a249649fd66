// base/ids.h
//
// The names of things, each its own type, so that two of them cannot be exchanged by mistake.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace troth {

// An integer or text of one meaning. `Tag` is never defined; it only tells the types apart.
template <typename Tag, typename T>
struct Named {
  T value{};
  auto operator<=>(const Named&) const = default;
};

// A cluster's name: a short name and six random characters, made once at `init`, e.g. "bank-x7k2p9".
// Lower-case letters, digits and '-'; at most kMaxClusterLength bytes; no '.'.
using ClusterId = Named<struct ClusterTag, std::string>;
// A branch's number inside its transaction, 1.. in the order of the request.
using BranchNumber = Named<struct BranchTag, std::uint32_t>;
// A resource's number, given once by the store and never reused; 1..999.
using ResourceNumber = Named<struct ResourceNumberTag, std::uint32_t>;
// A resource's configured name: letters, digits, '-' and '_'; 1..32 bytes.
using ResourceName = Named<struct ResourceNameTag, std::string>;
// An agent's lasting name, made at `init`.
using AgentId = Named<struct AgentTag, std::string>;
// One start of an agent, rising by one with each; 0 means "not yet known".
using Incarnation = Named<struct IncarnationTag, std::uint64_t>;
// The leader's reign. Rises with every change of leader.
using EpochNumber = Named<struct EpochNumberTag, std::uint32_t>;
// A transaction's number inside its epoch, 1.. .
using Sequence = Named<struct SequenceTag, std::uint64_t>;
// A random number that tells two reigns (or two starts) of the same number apart.
using Nonce = Named<struct NonceTag, std::uint64_t>;

inline constexpr std::size_t kMaxClusterLength = 19;
inline constexpr std::size_t kMaxTransactionIdLength = 48;
inline constexpr std::uint64_t kMaxSequence = 999'999'999'999;
inline constexpr std::uint32_t kMaxResourceNumber = 999;

// A reign: its number fences everything older; the nonce shows that a store was set back [T8].
struct Epoch {
  EpochNumber number;
  Nonce nonce;
  auto operator<=>(const Epoch&) const = default;
};

// Names a transaction: `<cluster>.<epoch>.<sequence>`, with `.s<resource number>` behind it when it commits
// in one phase, so that the id itself tells that only that resource knows its outcome [T5].
struct TransactionId {
  ClusterId cluster;
  EpochNumber epoch;
  Sequence sequence;
  std::optional<ResourceNumber> one_phase;

  [[nodiscard]] bool is_one_phase() const { return one_phase.has_value(); }
  [[nodiscard]] std::string text() const;
  // Refuses anything that `text()` could not have made (invalid_argument, effect none).
  [[nodiscard]] static Result<TransactionId> parse(std::string_view text);
  auto operator<=>(const TransactionId&) const = default;
};

// Where a transaction stands in the order of beginning, over all reigns; compared lexicographically.
// Watermarks and floors are such positions.
struct Position {
  EpochNumber epoch;
  Sequence sequence;
  auto operator<=>(const Position&) const = default;
};

[[nodiscard]] inline Position position_of(const TransactionId& id) {
  return {id.epoch, id.sequence};
}

// One branch of one transaction.
struct BranchId {
  TransactionId transaction;
  BranchNumber branch;
  auto operator<=>(const BranchId&) const = default;
};

// A UUIDv7 (RFC 9562) that the client made: its first 48 bits are Unix milliseconds.
struct RequestId {
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] std::uint64_t unix_ms() const;
  [[nodiscard]] std::string text() const;  // 8-4-4-4-12, lower case
  // Refuses what is not a version 7 UUID in the 8-4-4-4-12 form (invalid_argument, effect none).
  [[nodiscard]] static Result<RequestId> parse(std::string_view text);
  auto operator<=>(const RequestId&) const = default;
};

// At most one commit ever carries a given key.
struct RequestKey {
  std::string client;  // client_name of the caller; at most 64 bytes
  RequestId id;
  auto operator<=>(const RequestKey&) const = default;
};

// SHA-256 over what a request asks for; tells a retry from another request under the same id.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
  [[nodiscard]] std::string hex() const;
};

[[nodiscard]] Result<ClusterId> parse_cluster_id(std::string_view text);
[[nodiscard]] Result<ResourceName> parse_resource_name(std::string_view text);

}  // namespace troth
