// coordinator/decision_store/runtime/snapshot_codec.h
//
// The one place where what replicas say of their snapshots, and the first and the last record of one, become bytes and
// back: Thrift compact structs, see thrift/replicas.thrift.
//
// The messages are a union of their own, and not kinds of consensus::Message: the replicated log knows slots, and neither
// files nor what a state is made of. They go over the same connections.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "coordinator/consensus/durable.h"
#include "coordinator/decision_store/snapshot_messages.h"
#include "txlog/position.h"

namespace troth::coordinator::store {

// What owns the log of a replica; part of its identity.
inline constexpr const char* kGroupLogOwner = "replica";

inline constexpr txlog::RecordType kSnapshotBegunType{1001, false};
inline constexpr txlog::RecordType kSnapshotEndedType{1002, false};

struct SnapshotBegun {
  ClusterId cluster;
  std::uint64_t salt = 0;
};
struct SnapshotEnded {
  consensus::Slot slot;
  std::vector<consensus::ConfiguredFrom> configured;
  std::uint64_t records = 0;
};

[[nodiscard]] std::string encode(const SnapshotBegun& begun);
[[nodiscard]] std::string encode(const SnapshotEnded& ended);
// Refuse (kCorrupt) what is none, and a format that this program does not know.
[[nodiscard]] Result<SnapshotBegun> decode_snapshot_begun(std::string_view bytes);
[[nodiscard]] Result<SnapshotEnded> decode_snapshot_ended(std::string_view bytes);

// Bytes of a replica that are not for the replicated log.
[[nodiscard]] bool is_snapshot_message(std::string_view bytes);
[[nodiscard]] std::string encode_snapshot_message(const SnapshotMessage& message);
// Refuses (kInvalidArgument) what cannot be read, and a chunk with another checksum.
[[nodiscard]] Result<SnapshotMessage> decode_snapshot_message(std::string_view bytes);

}  // namespace troth::coordinator::store
