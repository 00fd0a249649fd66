// participant_agent/runtime/journal_codec.h
//
// Journal records as stored bytes and back: a Thrift compact struct each, named by the log's record type
// (thrift/journal.thrift). What a released version wrote stays readable for ever; tests keep its bytes.
#pragma once

#include <string>

#include "base/result.h"
#include "participant_agent/journal_records.h"
#include "txlog/scan.h"

namespace troth::agent {

struct EncodedRecord {
  txlog::RecordType type;
  std::string payload;
};

[[nodiscard]] EncodedRecord encode(const JournalRecord& record);

// Refuses a mandatory type that this version does not know, and bytes that are no such struct (corrupt,
// effect none). An optional type that is not known is nullopt.
[[nodiscard]] Result<std::optional<JournalRecord>> decode(const txlog::RecordView& record);

}  // namespace troth::agent
