// coordinator/decision_store/runtime/batch_codec.h
//
// The one place where an entry of a group's log becomes bytes and back: a Thrift compact struct, see
// thrift/records.thrift.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "coordinator/decision_store/group_engine.h"

namespace troth::coordinator::store {

// A batch has writes only.
[[nodiscard]] std::string encode_batch(const Batch& batch);

// Refuses (kCorrupt) bytes that are no batch, an unknown kind, and fields that are missing or impossible: a replica
// that skipped what it does not understand would come to another state than the others.
[[nodiscard]] Result<Batch> decode_batch(std::string_view bytes);

// A batch that is going to be proposed, as bytes and as every replica will read them; without what none could read, each
// with the reason: in the log it would stop all of them, for ever.
struct Unreadable {
  Ticket ticket;
  Error reason;
};
struct EncodedBatch {
  std::string bytes;
  Batch read;
  std::vector<Unreadable> unreadable;
};
[[nodiscard]] EncodedBatch encode_readable(Batch batch);

}  // namespace troth::coordinator::store
