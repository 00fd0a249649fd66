// tests/sim/words/record_words.h
//
// A log's record as a trace's reader wants it.
#pragma once

#include <string>

#include "txlog/bytes.h"
#include "txlog/position.h"

namespace troth::sim {

// `directory`: whose log it is, the coordinator's or an agent's.
[[nodiscard]] std::string words_of(const std::string& directory, txlog::RecordType type,
                                   txlog::Bytes payload);

}  // namespace troth::sim
