// participant_agent/dialect/branch_check.h
//
// MySQL, MariaDB: what a branch in one trip asks of the server between its statements and its end, once for all: the guard,
// and the look at the session. One row of one column: each further one costs the server, and whoever reads it, more than
// what stands in it.
//
// A plain SELECT, because anything else would lock the owner's row [attack 45], and behind the marker's insert [attack 42].
// Behind the client's statements it is as good: what a floor or an owner forbids is forbidden later too, and no client's
// text may name Troth's tables. It comes as octets
// and with a LIMIT, whatever a trigger made of `character_set_results` and `sql_select_limit`.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::agent {

struct BranchCheck {
  bool clean = false;  // the look answered as on a fresh session
  TextRow guard;       // for `parse_guard`
};

// Prepares `troth_check`. `look`: an expression of session_traces.h; `clean`: its octets on this session while it was
// fresh.
[[nodiscard]] std::string prepare_check(const ClusterId& cluster, std::string_view look,
                                        std::string_view clean);
inline constexpr std::string_view kCheck = "EXECUTE troth_check";

[[nodiscard]] Result<BranchCheck> parse_check(const TextRow& row);

}  // namespace troth::agent
