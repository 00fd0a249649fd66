// participant_agent/runtime/mysql_values.h
//
// What MySQL's and MariaDB's text forms of values need beside the driver. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

// The driver binds a decimal as text, and `balance - '0.01'` is then computed in floating point: a bank's
// cents would bend. So every placeholder of a decimal becomes CAST(? AS DECIMAL(65,s)), s being the value's
// own digits behind the point.
[[nodiscard]] std::string cast_decimals(DatabaseKind kind, const std::string& sql,
                                        const std::vector<Value>& parameters);

// The text that such a placeholder is bound to: no exponent, s digits behind the point.
[[nodiscard]] std::string decimal_text(DatabaseKind kind, const Decimal& decimal);

// Too large for the statement's own packet.
[[nodiscard]] bool travels_alone(const Bytes& bytes);
// What one packet must carry of the parameters; and the largest of those that travel alone, for which the server's limit
// is the same.
[[nodiscard]] std::size_t packet_bytes(const std::vector<Value>& parameters);

// A timestamp with a zone as UTC without one: sessions run in UTC, and not every server reads a zone.
// Nothing: the text is not of the contract's form.
[[nodiscard]] std::optional<std::string> timestamp_in_utc(std::string_view text);

}  // namespace troth::agent
