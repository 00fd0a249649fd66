// bench/report.h
//
// What the benchmark says: one cell for each number of clients and acknowledgement, as a line of JSON for
// programs, and all cells as a table with a footer for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/measurement.h"

namespace troth::bench {

// `applied`: every branch has committed; `decided`: it will.
enum class Acknowledgement : std::uint8_t { kApplied, kDecided };

[[nodiscard]] std::string_view name_of(Acknowledgement acknowledgement);

// One cell. A side that was not asked for is absent.
struct Comparison {
  std::string databases;  // e.g. "postgres+mysql"
  int clients = 0;
  Acknowledgement acknowledgement = Acknowledgement::kApplied;
  std::optional<Summary> handcoded;
  std::optional<Summary> troth;
};

// Whose CPU is Troth's own: the coordinator and every agent.
[[nodiscard]] double troth_cpu_ms(const Summary& summary);

// One line without its end. Both sides must be there: a ratio needs two.
[[nodiscard]] std::string json_line(const Comparison& comparison);

// Lines with their ends: a table, then for each cell what is too long for a column.
[[nodiscard]] std::string table(const std::vector<Comparison>& comparisons);

}  // namespace troth::bench
