#include "bench/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace troth::bench {
namespace {

constexpr std::string_view kBench = "transfer";
constexpr std::string_view kCoordinatorProcess = "coordinator";
constexpr std::string_view kAgentProcess = "agent";

// So that a number carries no more digits than were measured.
double rounded(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

// A figure of a side, or a dash where that side was not measured.
template <typename Figure>
std::string figure(const std::optional<Summary>& side, int digits, Figure of) {
  if (!side) return "-";
  return fmt::format("{:.{}f}", of(*side), digits);
}

std::string ratio(const Comparison& cell, double Summary::* of) {
  if (!cell.handcoded || !cell.troth) return "-";
  return fmt::format("{:.2f}", *cell.troth.*of / (*cell.handcoded.*of));
}

std::string side_line(std::string_view side, const Summary& summary) {
  std::vector<std::string> cpu;
  for (const auto& [process, cpu_ms] : summary.cpu_per_transaction)
    cpu.push_back(fmt::format("{} {:.3f}", process, cpu_ms));
  return fmt::format(
      "  {:<10} {} committed, {} conflicts retried; p99 {:.2f} ms; tx/s by round {:.0f}; CPU ms per "
      "transaction: "
      "{}\n",
      side, summary.committed, summary.conflicts, summary.p99_ms, fmt::join(summary.tps_of_rounds, " "),
      fmt::join(cpu, ", "));
}

}  // namespace

std::string_view name_of(Acknowledgement acknowledgement) {
  switch (acknowledgement) {
    case Acknowledgement::kApplied: return "applied";
    case Acknowledgement::kDecided: return "decided";
  }
  CHECK(false, "acknowledgement {}", static_cast<int>(acknowledgement));
}

double troth_cpu_ms(const Summary& summary) {
  double total = 0;
  for (const auto& [process, cpu_ms] : summary.cpu_per_transaction)
    if (process == kCoordinatorProcess || process.starts_with(kAgentProcess)) total += cpu_ms;
  return total;
}

std::string json_line(const Comparison& comparison) {
  CHECK(comparison.handcoded && comparison.troth, "a ratio needs both sides");
  const Summary& handcoded = *comparison.handcoded;
  const Summary& troth = *comparison.troth;
  nlohmann::ordered_json line;
  line["bench"] = kBench;
  line["databases"] = comparison.databases;
  line["clients"] = comparison.clients;
  line["acknowledge"] = name_of(comparison.acknowledgement);
  line["handcoded_tps"] = rounded(handcoded.tps, 1);
  line["troth_tps"] = rounded(troth.tps, 1);
  line["ratio"] = rounded(troth.tps / handcoded.tps, 3);
  line["handcoded_p50_ms"] = rounded(handcoded.p50_ms, 3);
  line["p50_ms"] = rounded(troth.p50_ms, 3);
  line["p50_ratio"] = rounded(troth.p50_ms / handcoded.p50_ms, 3);
  line["p99_ms"] = rounded(troth.p99_ms, 3);
  line["syncs_per_transaction"] = rounded(troth.syncs_per_transaction, 4);
  line["cpu_ms_per_transaction"] = rounded(troth_cpu_ms(troth), 4);
  return line.dump();
}

std::string table(const std::vector<Comparison>& comparisons) {
  constexpr auto kRow = "{:>7} {:>8} | {:>9} {:>9} {:>6} | {:>9} {:>9} {:>6} {:>9} | {:>8} {:>9}\n";
  std::string text = fmt::format(fmt::runtime(kRow), "", "", "hand", "troth", "", "hand", "troth", "",
                                 "troth", "syncs", "troth CPU");
  text += fmt::format(fmt::runtime(kRow), "clients", "ack", "tx/s", "tx/s", "ratio", "p50 ms", "p50 ms",
                      "ratio", "p99 ms", "per tx", "ms per tx");
  std::string footer;
  for (const Comparison& cell : comparisons) {
    const auto tps = [](const Summary& s) { return s.tps; };
    const auto p50 = [](const Summary& s) { return s.p50_ms; };
    text +=
        fmt::format(fmt::runtime(kRow), cell.clients, name_of(cell.acknowledgement),
                    figure(cell.handcoded, 0, tps), figure(cell.troth, 0, tps), ratio(cell, &Summary::tps),
                    figure(cell.handcoded, 2, p50), figure(cell.troth, 2, p50), ratio(cell, &Summary::p50_ms),
                    figure(cell.troth, 2, [](const Summary& s) { return s.p99_ms; }),
                    figure(cell.troth, 3, [](const Summary& s) { return s.syncs_per_transaction; }),
                    figure(cell.troth, 3, troth_cpu_ms));
    footer += fmt::format("{} clients, {}:\n", cell.clients, name_of(cell.acknowledgement));
    if (cell.handcoded) footer += side_line("hand-coded", *cell.handcoded);
    if (cell.troth) footer += side_line("troth", *cell.troth);
  }
  return text + "\n" + footer;
}

}  // namespace troth::bench
