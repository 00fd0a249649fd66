#include "participant_agent/dialect/catalogue.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/row_reader.h"

namespace troth::agent {
namespace {

using Form = ColumnShape::Form;

struct PostgresType {
  std::uint32_t type;
  std::uint32_t array_type;
  std::string_view name;
  Form form;
};

// Of pg_type.dat.
constexpr std::array kPostgresTypes{
    PostgresType{16, 1000, "boolean", Form::kOther},
    PostgresType{17, 1001, "bytea", Form::kBytes},
    PostgresType{18, 1002, "\"char\"", Form::kText},
    PostgresType{19, 1003, "name", Form::kText},
    PostgresType{20, 1016, "bigint", Form::kInteger},
    PostgresType{21, 1005, "smallint", Form::kInteger},
    PostgresType{23, 1007, "integer", Form::kInteger},
    PostgresType{25, 1009, "text", Form::kText},
    PostgresType{26, 1028, "oid", Form::kInteger},
    PostgresType{114, 199, "json", Form::kParsed},
    PostgresType{700, 1021, "real", Form::kFloat},
    PostgresType{701, 1022, "double precision", Form::kDouble},
    PostgresType{790, 791, "money", Form::kDecimal},
    PostgresType{1042, 1014, "character", Form::kText},
    PostgresType{1043, 1015, "character varying", Form::kText},
    PostgresType{1082, 1182, "date", Form::kDate},
    PostgresType{1083, 1183, "time", Form::kTime},
    PostgresType{1114, 1115, "timestamp", Form::kTimestamp},
    PostgresType{1184, 1185, "timestamptz", Form::kTimestampTz},
    PostgresType{1186, 1187, "interval", Form::kParsed},
    PostgresType{1266, 1270, "timetz", Form::kParsed},
    PostgresType{1700, 1231, "numeric", Form::kDecimal},
    PostgresType{2950, 2951, "uuid", Form::kParsed},
    PostgresType{3802, 3807, "jsonb", Form::kParsed},
};

struct InnodbType {
  std::string_view name;
  Form form;
};

constexpr std::array kInnodbTypes{
    InnodbType{"tinyint", Form::kInteger},
    InnodbType{"smallint", Form::kInteger},
    InnodbType{"mediumint", Form::kInteger},
    InnodbType{"int", Form::kInteger},
    InnodbType{"bigint", Form::kInteger},
    InnodbType{"year", Form::kInteger},
    InnodbType{"float", Form::kFloat},
    InnodbType{"double", Form::kDouble},
    InnodbType{"decimal", Form::kDecimal},
    InnodbType{"char", Form::kText},
    InnodbType{"varchar", Form::kText},
    InnodbType{"tinytext", Form::kText},
    InnodbType{"text", Form::kText},
    InnodbType{"mediumtext", Form::kText},
    InnodbType{"longtext", Form::kText},
    InnodbType{"binary", Form::kBytes},
    InnodbType{"varbinary", Form::kBytes},
    InnodbType{"tinyblob", Form::kBytes},
    InnodbType{"blob", Form::kBytes},
    InnodbType{"mediumblob", Form::kBytes},
    InnodbType{"longblob", Form::kBytes},
    InnodbType{"date", Form::kDate},
    InnodbType{"time", Form::kTime},
    InnodbType{"datetime", Form::kTimestamp},
    InnodbType{"timestamp", Form::kTimestampTz},
};

std::optional<std::uint32_t> number_of(const std::optional<std::string>& text) {
  if (!text.has_value()) return std::nullopt;
  std::uint32_t number = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), number);
  // Longer than 32 bits say: as good as unlimited.
  if (problem != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return number;
}

std::string postgres_name(std::string_view name) {
  std::string quoted = "\"";
  quoted += name;  // as it stood between quotes, with its own quotes doubled
  return quoted + "\"";
}

Texts read_postgres_columns(const TableName& table) {
  std::string name = postgres_name(table.name);
  if (!table.schema.empty()) name = postgres_name(table.schema) + "." + name;
  return {fmt::format(
      "SELECT a.attname, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END::bigint, "
      "CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END "
      "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
      "WHERE a.attrelid = pg_catalog.to_regclass(convert_from(decode('{}','hex'),'UTF8')) AND a.attnum > 0 "
      "AND NOT a.attisdropped ORDER BY a.attnum",
      hexadecimal(name))};
}

Texts read_innodb_columns(const TableName& table) {
  const auto literal = [](std::string_view text) { return fmt::format("_utf8mb4 X'{}'", hexadecimal(text)); };
  return {fmt::format(
      "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_MAXIMUM_LENGTH "
      "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} "
      "AND EXTRA NOT LIKE '%INVISIBLE%' ORDER BY ORDINAL_POSITION",
      table.schema.empty() ? "DATABASE()" : literal(table.schema), literal(table.name))};
}

Result<ColumnShape> parse_postgres_column(const TextRow& row) {
  RowReader reader("column", row);
  const std::string name = reader.text();
  const std::uint32_t type = reader.number32();
  const std::string modifier = reader.text();
  std::int32_t number = -1;
  std::from_chars(modifier.data(), modifier.data() + modifier.size(), number);
  ColumnShape shape = shape_of_postgres_type(type, number);
  shape.name = name;
  return reader.finished(std::move(shape));
}

Result<ColumnShape> parse_innodb_column(const TextRow& row) {
  RowReader reader("column", row);
  ColumnShape shape;
  shape.name = reader.text();
  shape.type = reader.text();
  const auto scale = number_of(reader.optional_text());
  const auto second = number_of(reader.optional_text());
  const auto length = number_of(reader.optional_text());
  const auto known = std::ranges::find(kInnodbTypes, shape.type, &InnodbType::name);
  if (known == kInnodbTypes.end()) return reader.finished(std::move(shape));
  shape.form = known->form;
  // FLOAT(7,2) and DOUBLE(7,2) round like a decimal.
  const bool is_float = shape.form == Form::kFloat || shape.form == Form::kDouble;
  if (is_float && scale.has_value()) shape.form = Form::kDecimal;
  if (shape.form == Form::kDecimal) shape.scale = scale;
  if (shape.form == Form::kText) shape.length = length;
  if (shape.form == Form::kTime || shape.form == Form::kTimestamp || shape.form == Form::kTimestampTz)
    shape.scale = second;
  return reader.finished(std::move(shape));
}

}  // namespace

// A domain is what it is made of; its modifier is the nearest that names one.
Texts read_postgres_type(std::uint32_t type) {
  return {
      fmt::format("WITH RECURSIVE made_of(oid, modifier) AS (SELECT {0}::oid, -1 UNION ALL "
                  "SELECT t.typbasetype, CASE m.modifier WHEN -1 THEN t.typtypmod ELSE m.modifier END "
                  "FROM made_of m JOIN pg_catalog.pg_type t ON t.oid = m.oid WHERE t.typtype = 'd') "
                  "SELECT m.oid::bigint, m.modifier, (t.typcategory = 'A')::int, {0}::regtype::text "
                  "FROM made_of m JOIN pg_catalog.pg_type t ON t.oid = m.oid WHERE t.typtype <> 'd'",
                  type)};
}

Result<ColumnShape> parse_postgres_type(const TextRow& row) {
  RowReader reader("type", row);
  const std::uint32_t type = reader.number32();
  const std::string modifier = reader.text();
  const bool is_array = reader.flag();
  std::string name = reader.text();
  std::int32_t number = -1;
  std::from_chars(modifier.data(), modifier.data() + modifier.size(), number);
  ColumnShape shape = shape_of_postgres_type(type, number);
  shape.is_array = is_array;
  shape.type = std::move(name);
  return reader.finished(std::move(shape));
}

Texts read_columns(DatabaseKind kind, const TableName& table) {
  return kind == DatabaseKind::kPostgres ? read_postgres_columns(table) : read_innodb_columns(table);
}

Result<ColumnShape> parse_column(DatabaseKind kind, const TextRow& row) {
  return kind == DatabaseKind::kPostgres ? parse_postgres_column(row) : parse_innodb_column(row);
}

ColumnShape shape_of_postgres_type(std::uint32_t type, std::int32_t modifier) {
  ColumnShape shape;
  const auto known = std::ranges::find_if(kPostgresTypes, [type](const PostgresType& entry) {
    return entry.type == type || entry.array_type == type;
  });
  if (known == kPostgresTypes.end()) {
    shape.type = "type read from text";
    shape.form = Form::kParsed;
    return shape;
  }
  shape.is_array = known->array_type == type;
  shape.type = shape.is_array ? fmt::format("{}[]", known->name) : std::string(known->name);
  shape.form = known->form;
  constexpr std::int32_t kHeader = 4;
  const std::uint32_t is = known->type;
  if (is == 18) shape.length = 1;
  if (is == 19) shape.length = 63;
  if (is == 790) shape.scale = 2;
  if ((is == 1042 || is == 1043) && modifier >= kHeader)
    shape.length = static_cast<std::uint32_t>(modifier - kHeader);
  if ((is == 1083 || is == 1114 || is == 1184) && modifier >= 0)
    shape.scale = static_cast<std::uint32_t>(modifier);
  if (is == 1700 && modifier >= kHeader) {
    // Eleven bits with a sign; a negative scale rounds before the point.
    const std::int32_t scale = (((modifier - kHeader) & 0x7ff) ^ 1024) - 1024;
    shape.scale = static_cast<std::uint32_t>(std::max(scale, 0));
  }
  return shape;
}

ParameterShapes shapes_of(const Assignments& assignments, const std::vector<ColumnShape>& columns) {
  const auto same_name = [](std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
  };
  ParameterShapes shapes;
  for (const Assignment& assignment : assignments.assigned) {
    const bool by_position = assignment.column.empty();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const bool is_meant =
          by_position ? i == assignment.position : same_name(columns[i].name, assignment.column);
      if (is_meant) shapes.push_back({assignment.parameter, columns[i]});
    }
  }
  return shapes;
}

Status check_parameters(const std::vector<Value>& parameters, const ParameterShapes& shapes) {
  for (const auto& [parameter, shape] : shapes) {
    if (parameter == 0 || parameter > parameters.size()) continue;
    if (Status fits = check_fit(parameters[parameter - 1], shape); !fits) {
      Error error = std::move(fits.error());
      error.message = fmt::format("parameter {}: {}", parameter, error.message);
      return std::unexpected(std::move(error));
    }
  }
  return {};
}

}  // namespace troth::agent
