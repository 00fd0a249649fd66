// participant_agent/runtime/postgres_values.h
//
// Typed values as Postgres' text protocol writes and reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

// A parameter's text; nothing for NULL. The server knows the parameter's type from the statement.
[[nodiscard]] std::optional<std::string> to_postgres(const Value& value);

// A result's value, by the type's OID as in pg_type. What has no type of its own here (and the values that
// have no form in the contract: infinity, years before Christ, arrays that do not begin at 1) is text, exactly
// as Postgres writes it.
[[nodiscard]] Value from_postgres(std::uint32_t type, std::string_view text);

// "int8", "timestamptz", "_text", ...; nothing for a type that is not built in.
[[nodiscard]] std::optional<std::string_view> postgres_type_name(std::uint32_t type);

}  // namespace troth::agent
