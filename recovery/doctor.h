// recovery/doctor.h
//
// What the facts of `troth doctor` mean: facts in, findings out. Nothing here asks anybody.
#pragma once

#include <cstdint>
#include <vector>

#include "recovery/doctor_catalogue.h"
#include "recovery/doctor_facts.h"
#include "recovery/exit_code.h"

namespace troth::recovery {

struct Patience {
  std::int64_t older_ms = 60'000;  // what is in doubt, or prepared, for longer is told
};

[[nodiscard]] std::vector<Finding> examine(const ResourceFacts& facts, const Patience& patience);
[[nodiscard]] std::vector<Finding> examine(const DirectoryFacts& facts);
[[nodiscard]] std::vector<Finding> examine(const MachineFacts& facts);
[[nodiscard]] std::vector<Finding> examine(const ClusterFacts& facts, const Patience& patience);

// What was seen where nothing need be wrong: one line for people.
[[nodiscard]] std::string summary_of(const ResourceFacts& facts);
[[nodiscard]] std::string summary_of(const DirectoryFacts& facts);
[[nodiscard]] std::string summary_of(const MachineFacts& facts);
[[nodiscard]] std::string summary_of(const ClusterFacts& facts);

// Parts of a resource's, each in a file of its own.
[[nodiscard]] std::vector<Finding> examine_postgres(const ResourceFacts& facts, const PostgresFacts& server);
[[nodiscard]] std::vector<Finding> examine_innodb(const ResourceFacts& facts, const InnodbFacts& server);
[[nodiscard]] std::vector<Finding> examine_sessions(const ResourceFacts& facts);

// kAttention with an error, kWarnings with a warning, else kDone.
[[nodiscard]] ExitCode exit_code_of(const std::vector<Finding>& findings);

// Parts that several of them need.
[[nodiscard]] std::string where_of(const ConfiguredResource& resource);
// "a, b, c and 4 more".
[[nodiscard]] std::string listed(const std::vector<std::string>& names);
// With the quote doubled inside.
[[nodiscard]] std::string quoted_name(std::string_view name, char quote);

}  // namespace troth::recovery
