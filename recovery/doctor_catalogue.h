// recovery/doctor_catalogue.h
//
// Everything that `troth doctor` can find: one table, from which the findings themselves and their page
// (docs/doctor.md) are made, so that the two cannot disagree.
//
// Words in <angle brackets> stand for names that only the facts know; a finding has them filled in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troth::recovery {

// kNote: know it. kWarning: it works, and will fail or lose speed one day. kError: it does not work, or may lose
// what was acknowledged.
enum class Severity : std::uint8_t { kNote, kWarning, kError };

// Where a finding is made.
enum class Examined : std::uint8_t { kResource, kPostgres, kInnodb, kDirectory, kCluster };

// What is to be done with the text that mends it.
enum class Remedy : std::uint8_t {
  kStatement,            // run it in the database, as an administrator
  kStatementRestart,     // the same, then restart the database
  kStatementAndSetting,  // the same, and write it into the database's configuration file
  kDatabaseSetting,      // write it into the database's configuration file, then restart the database
  kAgentSetting,         // write it into the agent's configuration file, then restart the agent
  kCommand,              // run it in a shell
  kAdvice,               // no statement can do it
};

// In the order in which the table is read.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct FindingKind {
  std::string_view id;  // stable: scripts may look for it
  Severity severity = Severity::kNote;
  Examined examined = Examined::kResource;
  std::string_view sees;  // what it means, in words for the page
  std::string_view why;   // why it matters
  Remedy remedy = Remedy::kAdvice;
  std::string_view mend;
};

[[nodiscard]] std::string_view name_of(Severity severity);
[[nodiscard]] std::string_view name_of(Examined examined);
[[nodiscard]] std::string_view name_of(Remedy remedy);

[[nodiscard]] std::span<const FindingKind> finding_kinds();

struct Finding {
  std::string id;
  Severity severity = Severity::kNote;
  std::string where;  // "resource accounts_pg", "directory /var/lib/troth/agent", "cluster"
  std::string seen;
  std::string why;
  Remedy remedy = Remedy::kAdvice;
  std::string mend;
  bool operator==(const Finding&) const = default;
};

// <name> -> what stands for it.
using Names = std::vector<std::pair<std::string_view, std::string>>;

// A finding of this kind; the kind must be in the table, and every name of its `mend` given (CHECKed).
[[nodiscard]] Finding found(std::string_view id, std::string where, std::string seen,
                            const Names& names = {});

// Most severe first, then as they came.
void put_in_order(std::vector<Finding>& findings);

// docs/doctor.md.
[[nodiscard]] std::string findings_page();

}  // namespace troth::recovery
