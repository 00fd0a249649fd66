// bench/process_stat.h
//
// CPU time of a process with all its children, from the text of /proc/<pid>/stat. Postgres has a process for
// each session, so a server's cost is its whole family's. Source: proc(5).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace troth::bench {

struct ProcessStat {
  std::int64_t pid = 0;
  std::int64_t parent = 0;
  std::uint64_t own_ticks = 0;       // user and system, of all its threads
  std::uint64_t children_ticks = 0;  // of children that ended and were waited for, with theirs
};

// Refuses what is not a line of /proc/<pid>/stat (corrupt, effect none).
[[nodiscard]] Result<ProcessStat> parse_process_stat(std::string_view line);

// Ticks of `root` and everything below it, ended children included; so it never falls while `root` lives.
// Refuses a root that is not among `processes` (unavailable, effect none).
[[nodiscard]] Result<std::uint64_t> family_ticks(const std::vector<ProcessStat>& processes,
                                                 std::int64_t root);

}  // namespace troth::bench
