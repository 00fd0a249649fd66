// recovery/schema_upgrade.h
//
// Why `troth install` does not bring a resource's tables to this release's version, and what to do about it. Nothing has
// been changed then.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::recovery {

// A request that stands in several rows committed several times, before the tables kept it from that. Which of the
// commits is to stand is for people to say; each row goes on proving its branch. `rows`: Dialect::read_unread_calls.
[[nodiscard]] Error unread_calls(agent::DatabaseKind kind, const std::string& resource,
                                 const std::vector<agent::MarkerRow>& rows);

// Somebody else holds the tables.
[[nodiscard]] Error tables_in_use(const std::string& resource, const std::string& reason);

// Made by a newer release.
[[nodiscard]] Error tables_too_new(const std::string& resource, std::uint32_t version);

}  // namespace troth::recovery
