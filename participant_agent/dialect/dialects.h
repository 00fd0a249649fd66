// participant_agent/dialect/dialects.h
//
// The three dialects behind `dialect_of`.
#pragma once

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// A longer gtid_executed is not kept: the counter still shows a set-back server.
inline constexpr std::size_t kMaxKnownGtidBytes = 4096;

const Dialect& postgres_dialect();
const Dialect& mysql_dialect();
const Dialect& mariadb_dialect();

}  // namespace troth::agent
