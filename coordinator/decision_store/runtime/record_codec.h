// coordinator/decision_store/runtime/record_codec.h
//
// The one place where records become bytes and back: Thrift compact structs, see thrift/records.thrift.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "coordinator/decision_store/records.h"
#include "txlog/bytes.h"
#include "txlog/position.h"

namespace troth::coordinator::store {

// What owns the log that these records are in; part of its identity.
inline constexpr const char* kLogOwner = "decision-store";

[[nodiscard]] txlog::RecordType type_of(const LogRecord& record);

// Keeps its buffer between calls; used by one thread at a time.
class RecordEncoder {
 public:
  RecordEncoder();
  ~RecordEncoder();
  RecordEncoder(const RecordEncoder&) = delete;
  RecordEncoder& operator=(const RecordEncoder&) = delete;

  // Valid until the next call.
  [[nodiscard]] txlog::Bytes encode(const LogRecord& record);

 private:
  struct Buffer;
  std::unique_ptr<Buffer> buffer_;
};

// Ends the log of `local` where a group has taken over: no record of the table.
struct Superseded {
  std::string by;
  bool group_is_made = false;
  bool operator==(const Superseded&) const = default;
};
inline constexpr txlog::RecordType kSupersededType{10, false};
[[nodiscard]] std::string encode_superseded(const Superseded& superseded);
[[nodiscard]] Result<Superseded> decode_superseded(txlog::Bytes payload);

// Refuses (kNotOwner) what follows in a log that was superseded; (kCorrupt) an unknown type, bytes that are no such struct, and fields that are missing or
// impossible.
[[nodiscard]] Result<LogRecord> decode(txlog::RecordType type, txlog::Bytes payload);

}  // namespace troth::coordinator::store
