// coordinator/consensus/runtime/replica_codec.h
//
// The one place where messages and log records of a replica become bytes and back: Thrift compact structs, see
// thrift/replicas.thrift.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/consensus/durable.h"
#include "coordinator/consensus/messages.h"
#include "txlog/bytes.h"
#include "txlog/position.h"

namespace troth::coordinator::consensus {

[[nodiscard]] std::string encode_message(const Message& message);
// Refuses (kInvalidArgument) what is no message of this version, and slots, rounds and numbers that no group comes to.
[[nodiscard]] Result<Message> decode_message(std::string_view bytes);

[[nodiscard]] txlog::RecordType type_of(const DurableRecord& record);
[[nodiscard]] std::string encode_record(const DurableRecord& record);
// Refuses (kCorrupt) an unknown type, and fields that are missing or impossible.
[[nodiscard]] Result<DurableRecord> decode_record(txlog::RecordType type, std::string_view bytes);

}  // namespace troth::coordinator::consensus
