// recovery/runtime/record_text.h
//
// What a log's record says, in words, where the tool knows the log's owner.
#pragma once

#include <string>
#include <string_view>

#include "txlog/bytes.h"
#include "txlog/position.h"

namespace troth::recovery {

// Empty: the owner's records are not known here, or this one cannot be read.
[[nodiscard]] std::string record_text(std::string_view owner, txlog::RecordType type, txlog::Bytes payload);

}  // namespace troth::recovery
