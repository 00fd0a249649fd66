// recovery/runtime/record_text.h
//
// What a log's record says, in words, where the tool knows the log's owner.
#pragma once

#include <string>
#include <string_view>

#include "txlog/bytes.h"
#include "txlog/position.h"
#include "txlog/scan.h"

namespace troth::recovery {

// Empty: the owner's records are not known here, or this one cannot be read.
[[nodiscard]] std::string record_text(std::string_view owner, txlog::RecordSequence sequence,
                                      txlog::RecordType type, txlog::Bytes payload);

// Of an agent's journal.
[[nodiscard]] std::string journal_record_text(const txlog::RecordView& view);

}  // namespace troth::recovery
