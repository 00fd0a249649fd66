// participant_agent/dialect/catalogue.h
//
// The shapes of a table's columns, as the database's catalogue tells them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/assignments.h"
#include "participant_agent/dialect/column_shape.h"
#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// Answer: a row for `parse_column` of each column that an INSERT without names would fill, in their order; no
// rows where there is no such table, or the role sees none of its columns. Never fails, because a failure
// would end a branch of Postgres.
[[nodiscard]] Texts read_columns(DatabaseKind kind, const TableName& table);
[[nodiscard]] Result<ColumnShape> parse_column(DatabaseKind kind, const TextRow& row);

// A type of Postgres by its OID and modifier (-1: none), without a column's name; kParsed for any that is not
// one of those that travel typed.
[[nodiscard]] ColumnShape shape_of_postgres_type(std::uint32_t type, std::int32_t modifier);
// A type that is not built in (an enum, a domain, an extension's). Answer: one row for `parse_postgres_type`.
[[nodiscard]] Texts read_postgres_type(std::uint32_t type);
[[nodiscard]] Result<ColumnShape> parse_postgres_type(const TextRow& row);

// Into which shape a parameter (1..) goes; one may go into several.
struct ParameterShape {
  std::uint32_t parameter = 0;
  ColumnShape shape;
  bool operator==(const ParameterShape&) const = default;
};
using ParameterShapes = std::vector<ParameterShape>;

[[nodiscard]] ParameterShapes shapes_of(const Assignments& assignments,
                                        const std::vector<ColumnShape>& columns);

// invalid_argument, effect none, naming the parameter that its column would change.
[[nodiscard]] Status check_parameters(const std::vector<Value>& parameters, const ParameterShapes& shapes);

}  // namespace troth::agent
