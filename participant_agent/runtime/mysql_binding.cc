#include "participant_agent/runtime/mysql_binding.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/decimal_digits.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {
namespace {

struct Binder {
  DatabaseKind kind;
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
  void operator()(const Decimal& decimal) const { to.setString(at, decimal_text(kind, decimal)); }
  void operator()(const TimestampTz& stamp) const {
    to.setString(at, timestamp_in_utc(stamp.text).value_or(stamp.text));
  }
  void operator()(const Array&) const { CHECK(false, "check_statements refuses arrays here"); }
  template <typename Tag>
  void operator()(const Texted<Tag>& texted) const {
    to.setString(at, texted.text);
  }
};

// The driver writes the years before 1000 of a DATE with two digits.
std::string with_whole_year(std::string date) {
  const std::size_t digits = std::min<std::size_t>(date.find('-'), 4);
  return std::string(4 - digits, '0') + date;
}

// The contract has no form for MySQL's zero dates.
template <typename T>
Value calendar(std::string text) {
  if (text.starts_with("0000") || text.find("-00") == 4 || text.find("-00") == 7)
    return {Text{std::move(text)}};
  return {T{std::move(text)}};
}

// Rows of text print a double in full. (The driver would read it as a long double, and round twice.)
double double_of(std::string_view text) {
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Value read_value(sql::ResultSet& rows, RowForm form, sql::ResultSetMetaData& columns, unsigned column) {
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
    case sql::DataType::REAL: return {widened(static_cast<float>(rows.getDouble(column)))};
    case sql::DataType::DOUBLE:
      if (form == RowForm::kText) return {double_of(text())};
      return {static_cast<double>(rows.getDouble(column))};
    case sql::DataType::DECIMAL:
    case sql::DataType::NUMERIC: return {Decimal{text()}};
    case sql::DataType::BINARY:
    case sql::DataType::VARBINARY:
    case sql::DataType::LONGVARBINARY:
    case sql::DataType::GEOMETRY: return {Bytes{text()}};
    case sql::DataType::DATE: return calendar<Date>(with_whole_year(text()));
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
    default: {
      // What the server calls a text need not be one: `SELECT ?` of octets.
      std::string is = text();
      return is_utf8(is) ? Value{Text{std::move(is)}} : Value{Bytes{std::move(is)}};
    }
  }
}

}  // namespace

BoundParameters::BoundParameters(DatabaseKind kind, sql::PreparedStatement& statement,
                                 const std::vector<Value>& parameters) {
  unsigned position = 0;
  for (const Value& parameter : parameters)
    std::visit(Binder{.kind = kind, .to = statement, .at = ++position, .octets = octets_}, parameter.is);
}

Status read_rows(sql::ResultSet& rows, RowForm form, ResultBudget& budget, StatementResult& read) {
  sql::ResultSetMetaData& columns = *rows.getMetaData();
  const unsigned count = columns.getColumnCount();
  for (unsigned column = 1; column <= count; ++column) {
    const std::string type = columns.getColumnTypeName(column);
    read.columns.push_back({columns.getColumnLabel(column), type == "UNKNOWN" ? "JSON" : type});
    if (form == RowForm::kText && columns.getColumnType(column) == sql::DataType::REAL) {
      return fail(
          ErrorCode::kInvalidArgument, Effect::kNone,
          fmt::format("column {} ({}) is a FLOAT beside a JSON, a geometry or a decimal of more than 60 "
                      "digits: the driver reads such rows as text, in which the server prints six digits of "
                      "a FLOAT; select CAST({} AS DOUBLE)",
                      column, read.columns.back().name, read.columns.back().name));
    }
  }
  while (rows.next()) {
    std::vector<Value> row;
    row.reserve(count);
    std::size_t bytes = 0;
    for (unsigned column = 1; column <= count; ++column) {
      row.push_back(read_value(rows, form, columns, column));
      bytes += size_of(row.back());
    }
    if (Status taken = budget.take_row(bytes); !taken.has_value()) return taken;
    read.rows.push_back(std::move(row));
  }
  return {};
}

bool driver_cannot_read(sql::ResultSetMetaData& columns, unsigned column) {
  // It reads a decimal into so many characters, and what is longer with whatever lies behind them. Its getPrecision()
  // counts from the longest value, of which there is none before the statement has run.
  constexpr unsigned kLongestDecimal = 60;
  switch (columns.getColumnType(column)) {
    case sql::DataType::UNKNOWN:
    case sql::DataType::GEOMETRY: return true;
    case sql::DataType::DECIMAL:
    case sql::DataType::NUMERIC: {
      const unsigned sign_and_point = columns.getScale(column) > 0 ? 2 : 1;
      return columns.getColumnDisplaySize(column) > kLongestDecimal + sign_and_point;
    }
    default: return false;
  }
}

}  // namespace troth::agent
