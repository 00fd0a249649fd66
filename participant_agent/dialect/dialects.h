// participant_agent/dialect/dialects.h
//
// The three dialects behind `dialect_of`.
#pragma once

#include <string>
#include <string_view>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// A longer gtid_executed is not kept: the counter still shows a set-back server.
inline constexpr std::size_t kMaxKnownGtidBytes = 4096;

// A subquery: the keys of requests that stand in more than one row of the table.
[[nodiscard]] std::string unread_calls(std::string_view table);

const Dialect& postgres_dialect();
const Dialect& mysql_dialect();
const Dialect& mariadb_dialect();

}  // namespace troth::agent
