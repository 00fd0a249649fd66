#include "participant_agent/runtime/mysql_binding.h"

#include <string>
#include <utility>

#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>

#include "base/check.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {
namespace {

struct Binder {
  sql::PreparedStatement& to;
  unsigned at;
  std::vector<std::unique_ptr<std::istringstream>>& octets;

  void operator()(const Null&) const { to.setNull(at, sql::DataType::SQLNULL); }
  void operator()(bool b) const { to.setInt(at, b ? 1 : 0); }
  void operator()(std::int64_t n) const { to.setInt64(at, n); }
  void operator()(std::uint64_t n) const { to.setUInt64(at, n); }
  void operator()(double d) const { to.setDouble(at, d); }
  // As a blob: a string would be taken for text in the connection's character set.
  void operator()(const Bytes& bytes) const {
    octets.push_back(std::make_unique<std::istringstream>(bytes.octets));
    to.setBlob(at, octets.back().get());
  }
  void operator()(const TimestampTz& stamp) const {
    to.setString(at, timestamp_in_utc(stamp.text).value_or(stamp.text));
  }
  void operator()(const Array&) const { CHECK(false, "check_statements refuses arrays here"); }
  template <typename Tag>
  void operator()(const Texted<Tag>& texted) const {
    to.setString(at, texted.text);
  }
};

// The contract has no form for MySQL's zero dates.
template <typename T>
Value calendar(std::string text) {
  if (text.starts_with("0000") || text.find("-00") == 4 || text.find("-00") == 7)
    return {Text{std::move(text)}};
  return {T{std::move(text)}};
}

Value read_value(sql::ResultSet& rows, sql::ResultSetMetaData& columns, unsigned column) {
  if (rows.isNull(column)) return {Null{}};
  const auto text = [&] { return std::string(rows.getString(column)); };
  switch (columns.getColumnType(column)) {
    case sql::DataType::TINYINT:
    case sql::DataType::SMALLINT:
    case sql::DataType::MEDIUMINT:
    case sql::DataType::INTEGER:
    case sql::DataType::BIGINT:
      if (columns.isSigned(column)) return {std::int64_t{rows.getInt64(column)}};
      return {std::uint64_t{rows.getUInt64(column)}};
    case sql::DataType::BIT: return {std::uint64_t{rows.getUInt64(column)}};
    case sql::DataType::YEAR: return {std::int64_t{rows.getInt64(column)}};
    case sql::DataType::REAL:
    case sql::DataType::DOUBLE: return {static_cast<double>(rows.getDouble(column))};
    case sql::DataType::DECIMAL:
    case sql::DataType::NUMERIC: return {Decimal{text()}};
    case sql::DataType::BINARY:
    case sql::DataType::VARBINARY:
    case sql::DataType::LONGVARBINARY:
    case sql::DataType::GEOMETRY: return {Bytes{text()}};
    case sql::DataType::DATE: return calendar<Date>(text());
    case sql::DataType::TIME: return {Time{with_fraction(text(), columns.getScale(column))}};
    case sql::DataType::TIMESTAMP: {
      std::string stamp = with_fraction(text(), columns.getScale(column));
      // A TIMESTAMP is an instant, shown in the session's zone, which is UTC; a DATETIME is not.
      const bool is_instant = columns.getColumnTypeName(column) == "TIMESTAMP";
      return is_instant ? calendar<TimestampTz>(stamp + "+00") : calendar<Timestamp>(std::move(stamp));
    }
    case sql::DataType::UNKNOWN: {
      std::string unknown = text();
      return is_utf8(unknown) ? Value{Json{std::move(unknown)}} : Value{Bytes{std::move(unknown)}};
    }
    default: return {Text{text()}};
  }
}

}  // namespace

BoundParameters::BoundParameters(sql::PreparedStatement& statement, const std::vector<Value>& parameters) {
  unsigned position = 0;
  for (const Value& parameter : parameters)
    std::visit(Binder{.to = statement, .at = ++position, .octets = octets_}, parameter.is);
}

Status read_rows(sql::ResultSet& rows, ResultBudget& budget, StatementResult& read) {
  sql::ResultSetMetaData& columns = *rows.getMetaData();
  const unsigned count = columns.getColumnCount();
  for (unsigned column = 1; column <= count; ++column) {
    const std::string type = columns.getColumnTypeName(column);
    read.columns.push_back({columns.getColumnLabel(column), type == "UNKNOWN" ? "JSON" : type});
  }
  while (rows.next()) {
    std::vector<Value> row;
    row.reserve(count);
    std::size_t bytes = 0;
    for (unsigned column = 1; column <= count; ++column) {
      row.push_back(read_value(rows, columns, column));
      bytes += size_of(row.back());
    }
    if (Status taken = budget.take_row(bytes); !taken.has_value()) return taken;
    read.rows.push_back(std::move(row));
  }
  return {};
}

bool driver_cannot_read(int column_type) {
  return column_type == sql::DataType::UNKNOWN || column_type == sql::DataType::GEOMETRY;
}

}  // namespace troth::agent
