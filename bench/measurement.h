// bench/measurement.h
//
// What was measured, and what it comes to. A side (hand-coded, or through Troth) is measured in several
// rounds that alternate with the other side's; each rate or latency of the summary is the median over the
// rounds, so that one round in which the machine was busy elsewhere does not decide.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace troth::bench {

// Milliseconds of CPU (user and system) by the name of the process that spent them.
using CpuMs = std::map<std::string, double>;

// One side under load for a few seconds.
struct Round {
  // One for each committed transfer, from its first attempt to its answer: retries are part of it.
  std::vector<Duration> latencies;
  std::uint64_t conflicts =
      0;  // attempts that met another transfer's locks, took nothing, and were made again
  std::int64_t moved =
      0;  // the committed amounts added up: what Postgres must have more by, and the other less
  // From the first attempt until nothing was prepared any more in either database: a transfer that is only
  // decided still costs the databases their work, and that work is not left out of the rate.
  Duration elapsed{};
  CpuMs cpu;
  std::uint64_t log_syncs = 0;  // of the coordinator; none on the hand-coded side
};

struct Summary {
  double tps = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  std::uint64_t committed = 0;
  std::uint64_t conflicts = 0;
  double syncs_per_transaction = 0;
  CpuMs cpu_per_transaction;
  std::vector<double> tps_of_rounds;
};

// Refuses a round in which nothing committed (internal, effect none): there is nothing to say about it.
[[nodiscard]] Result<Summary> summarise(const std::vector<Round>& rounds);

}  // namespace troth::bench
