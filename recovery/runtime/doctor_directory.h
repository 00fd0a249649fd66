// recovery/runtime/doctor_directory.h
//
// Looks at a data or log directory and at this machine's clock, read-only but for a nameless file whose syncs are
// timed.
#pragma once

#include "base/runtime/data_directory.h"
#include "recovery/doctor_facts.h"

namespace troth::recovery {

// What is known of the directory beforehand stands in `known`: path, log, program, config, sizes. `kind`: whose data
// directory it must be; nothing: `path` is a log directory.
[[nodiscard]] DirectoryFacts look_at(DirectoryFacts known, std::optional<OwnerKind> kind);
[[nodiscard]] MachineFacts look_at_machine();

}  // namespace troth::recovery
