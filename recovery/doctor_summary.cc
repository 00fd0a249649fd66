// What `troth doctor` looked at, in one line each.
#include <fmt/format.h>

#include "recovery/doctor.h"
#include "recovery/text_table.h"

namespace troth::recovery {
namespace {

std::string clock_words(const std::optional<std::int64_t>& ahead_ms) {
  return ahead_ms ? fmt::format(", clock {:+} ms", *ahead_ms) : "";
}

std::string_view verdict_words(const DirectoryFacts& facts) {
  switch (facts.verdict) {
    case LogVerdict::kWhole: return "whole";
    case LogVerdict::kCutTail: return "with a bad tail";
    case LogVerdict::kDamaged: return "damaged";
    case LogVerdict::kUnseen: return "not read";
  }
  return "";
}

}  // namespace

std::string summary_of(const ResourceFacts& facts) {
  struct Words {
    std::string operator()(const NotReached&) const { return "not reached"; }
    // 150018 is 15.18.
    std::string operator()(const PostgresFacts& server) const {
      return fmt::format("PostgreSQL {}.{}, {} prepared", server.version / 10'000, server.version % 10'000,
                         server.prepared.size());
    }
    std::string operator()(const InnodbFacts& server) const {
      return fmt::format("{}{}, {}, {} prepared", mysql ? "MySQL " : "", server.version,
                         counted(static_cast<std::int64_t>(server.tables.size()), "table"),
                         server.prepared.size());
    }
    bool mysql = false;
  };
  return std::visit(Words{facts.configured.kind == agent::DatabaseKind::kMysql}, facts.server) +
         clock_words(facts.clock_ahead_ms);
}

std::string summary_of(const DirectoryFacts& facts) {
  if (!facts.missing.empty()) return "cannot be used";
  std::string text =
      fmt::format("log {}{}, {} on {}, {} MiB free", verdict_words(facts), facts.live ? " and in use" : "",
                  facts.file_system, facts.mount, facts.free_bytes >> 20);
  if (facts.sync_median_us) {
    text += fmt::format(", sync {} us (median of 100), {} us (99th percentile)", *facts.sync_median_us,
                        facts.sync_99th_us);
  }
  return text;
}

std::string summary_of(const MachineFacts& facts) {
  if (!facts.clock_synchronised) return "whether its clock is kept right is not known";
  return *facts.clock_synchronised ? "its clock is kept right" : "nothing keeps its clock right";
}

std::string summary_of(const ClusterFacts& facts) {
  if (!facts.not_reached.empty()) return "not reached";
  return fmt::format("version {}, {}{}", facts.version,
                     counted(static_cast<std::int64_t>(facts.resources.size()), "resource"),
                     clock_words(facts.clock_ahead_ms));
}

}  // namespace troth::recovery
