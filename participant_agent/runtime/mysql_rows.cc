#include "participant_agent/runtime/mysql_rows.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "participant_agent/dialect/decimal_digits.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {
namespace {

constexpr unsigned kBinaryCollation = 63;
// MySQL 9's VECTOR, which libmariadb has not heard of.
constexpr auto kVector = static_cast<enum_field_types>(242);

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};

bool is_binary(const MYSQL_FIELD& field) {
  return field.charsetnr == kBinaryCollation;
}

// The contract has no form for MySQL's zero dates.
template <typename T>
Value calendar(const MYSQL_TIME& time, std::string text) {
  if (time.year == 0 || time.month == 0 || time.day == 0) return {Text{std::move(text)}};
  return {T{std::move(text)}};
}

std::string date_text(const MYSQL_TIME& time) {
  return fmt::format("{:04}-{:02}-{:02}", time.year, time.month, time.day);
}

// As many digits as the column has.
std::string clock_text(const MYSQL_TIME& time, unsigned digits) {
  constexpr unsigned kMostDigits = 6;
  std::string text = fmt::format("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
  if (digits == 0) return text;
  return text + "." + fmt::format("{:06}", time.second_part).substr(0, std::min(digits, kMostDigits));
}

std::string_view in_words(const MYSQL_FIELD& field, std::string_view text, std::string_view binary) {
  return is_binary(field) ? binary : text;
}

// A result tells of these four only how long their values may be.
std::string_view blob_name(const MYSQL_FIELD& field) {
  constexpr unsigned long kTiny = 255;
  constexpr unsigned long kPlain = 65'535;
  constexpr unsigned long kMedium = 16'777'215;
  // In octets of the session's character set, at four for a character.
  const unsigned long length = is_binary(field) ? field.length : field.length / 4;
  if (length <= kTiny) return in_words(field, "TINYTEXT", "TINYBLOB");
  if (length <= kPlain) return in_words(field, "TEXT", "BLOB");
  if (length <= kMedium) return in_words(field, "MEDIUMTEXT", "MEDIUMBLOB");
  return in_words(field, "LONGTEXT", "LONGBLOB");
}

std::string_view plain_name_of(const MYSQL_FIELD& field) {
  if ((field.flags & ENUM_FLAG) != 0) return "ENUM";
  if ((field.flags & SET_FLAG) != 0) return "SET";
  switch (field.type) {
    case MYSQL_TYPE_BIT: return "BIT";
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL: return "DECIMAL";
    case MYSQL_TYPE_TINY: return "TINYINT";
    case MYSQL_TYPE_SHORT: return "SMALLINT";
    case MYSQL_TYPE_INT24: return "MEDIUMINT";
    case MYSQL_TYPE_LONG: return "INT";
    case MYSQL_TYPE_LONGLONG: return "BIGINT";
    case MYSQL_TYPE_FLOAT: return "FLOAT";
    case MYSQL_TYPE_DOUBLE: return "DOUBLE";
    case MYSQL_TYPE_NULL: return "NULL";
    case MYSQL_TYPE_YEAR: return "YEAR";
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE: return "DATE";
    case MYSQL_TYPE_TIME: return "TIME";
    case MYSQL_TYPE_DATETIME: return "DATETIME";
    case MYSQL_TYPE_TIMESTAMP: return "TIMESTAMP";
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB: return blob_name(field);
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING: return in_words(field, "VARCHAR", "VARBINARY");
    case MYSQL_TYPE_STRING: return in_words(field, "CHAR", "BINARY");
    case MYSQL_TYPE_JSON: return "JSON";
    case MYSQL_TYPE_GEOMETRY: return "GEOMETRY";
    default: return field.type == kVector ? "VECTOR" : "UNKNOWN";
  }
}

bool has_a_sign(const MYSQL_FIELD& field) {
  return IS_NUM(field.type) && field.type != MYSQL_TYPE_YEAR && field.type != MYSQL_TYPE_TIMESTAMP &&
         field.type != MYSQL_TYPE_BIT && field.type != MYSQL_TYPE_NULL;
}

// One column, and what its value was fetched into.
class ColumnReader {
 public:
  explicit ColumnReader(MYSQL_FIELD& field) : field_(field) {
    switch (field.type) {
      case MYSQL_TYPE_TINY:
      case MYSQL_TYPE_SHORT:
      case MYSQL_TYPE_INT24:
      case MYSQL_TYPE_LONG:
      case MYSQL_TYPE_LONGLONG: into_ = MYSQL_TYPE_LONGLONG; break;
      case MYSQL_TYPE_YEAR: into_ = MYSQL_TYPE_LONGLONG; break;
      case MYSQL_TYPE_FLOAT:
      case MYSQL_TYPE_DOUBLE:
      case MYSQL_TYPE_DATE:
      case MYSQL_TYPE_TIME:
      case MYSQL_TYPE_DATETIME:
      case MYSQL_TYPE_TIMESTAMP: into_ = field.type; break;
      default: break;
    }
  }

  void bind_to(MYSQL_BIND& bind) {
    bind.buffer_type = into_;
    bind.is_unsigned = is_unsigned();
    bind.is_null = &is_null_;
    bind.length = &length_;
    bind.error = &is_cut_;
    if (into_ == kOctets) {
      bind.buffer = octets_.data();
      bind.buffer_length = octets_.size();
    } else {
      bind.buffer = &number_;
      bind.buffer_length = sizeof(number_);
    }
  }

  [[nodiscard]] std::size_t bytes() const {
    return sizeof(Value) + (into_ == kOctets && is_null_ == 0 ? length_ : 0);
  }
  [[nodiscard]] bool is_longer_than_its_buffer() const {
    return into_ == kOctets && is_null_ == 0 && length_ > octets_.size();
  }
  void widen() { octets_.resize(length_); }

  [[nodiscard]] Value value() {
    if (is_null_ != 0) return {Null{}};
    switch (field_.type) {
      case MYSQL_TYPE_TINY:
      case MYSQL_TYPE_SHORT:
      case MYSQL_TYPE_INT24:
      case MYSQL_TYPE_LONG:
      case MYSQL_TYPE_LONGLONG:
        if (is_unsigned()) return {number_.is_unsigned};
        return {number_.is_signed};
      case MYSQL_TYPE_YEAR: return {number_.is_signed};
      case MYSQL_TYPE_FLOAT: return {widened(number_.is_float)};
      case MYSQL_TYPE_DOUBLE: return {number_.is_double};
      case MYSQL_TYPE_DATE: return calendar<Date>(number_.is_time, date_text(number_.is_time));
      case MYSQL_TYPE_TIME: return {Time{time_text()}};
      case MYSQL_TYPE_DATETIME: return calendar<Timestamp>(number_.is_time, stamp_text());
      // An instant, shown in the session's zone, which is UTC.
      case MYSQL_TYPE_TIMESTAMP: return calendar<TimestampTz>(number_.is_time, stamp_text() + "+00");
      case MYSQL_TYPE_BIT: return {bits()};
      default: return octets();
    }
  }

 private:
  static constexpr enum_field_types kOctets = MYSQL_TYPE_BLOB;

  [[nodiscard]] bool is_unsigned() const { return (field_.flags & UNSIGNED_FLAG) != 0; }

  [[nodiscard]] std::string time_text() const {
    return (number_.is_time.neg != 0 ? "-" : "") + clock_text(number_.is_time, field_.decimals);
  }
  [[nodiscard]] std::string stamp_text() const {
    return date_text(number_.is_time) + " " + clock_text(number_.is_time, field_.decimals);
  }
  [[nodiscard]] std::uint64_t bits() const {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < length_; ++i)
      number = number << 8U | static_cast<std::uint8_t>(octets_[i]);
    return number;
  }
  [[nodiscard]] Value octets() const {
    std::string is(octets_.data(), length_);
    switch (field_.type) {
      case MYSQL_TYPE_DECIMAL:
      case MYSQL_TYPE_NEWDECIMAL: return {Decimal{std::move(is)}};
      case MYSQL_TYPE_GEOMETRY: return {Bytes{std::move(is)}};
      case MYSQL_TYPE_JSON: return is_utf8(is) ? Value{Json{std::move(is)}} : Value{Bytes{std::move(is)}};
      default: break;
    }
    // What the server calls a text need not be one: `SELECT ?` of octets.
    const bool is_text = !is_binary(field_) && is_utf8(is);
    return is_text ? Value{Text{std::move(is)}} : Value{Bytes{std::move(is)}};
  }

  const MYSQL_FIELD& field_;
  enum_field_types into_ = kOctets;
  my_bool is_null_ = 0;
  my_bool is_cut_ = 0;
  unsigned long length_ = 0;
  union {
    std::int64_t is_signed;
    std::uint64_t is_unsigned;
    float is_float;
    double is_double;
    MYSQL_TIME is_time;
  } number_{};
  std::string octets_ = std::string(256, '\0');  // most values fit
};

class ResultReader {
 public:
  ResultReader(MYSQL_STMT& statement, MYSQL_FIELD* fields, unsigned count)
      : statement_(statement), binds_(count) {
    columns_.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
      // Its octets come as a blob's.
      if (fields[i].type == kVector) fields[i].type = MYSQL_TYPE_BLOB;
      columns_.emplace_back(fields[i]);
    }
  }

  [[nodiscard]] bool bind() {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      columns_[i].bind_to(binds_[i]);
    return mysql_stmt_bind_result(&statement_, binds_.data()) == 0;
  }

  Result<bool> read(ResultBudget& budget, StatementResult& read) {
    for (;;) {
      const int fetched = mysql_stmt_fetch(&statement_);
      if (fetched == MYSQL_NO_DATA) return true;
      if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED) return false;
      std::size_t bytes = 0;
      for (const ColumnReader& column : columns_)
        bytes += column.bytes();
      if (Status taken = budget.take_row(bytes); !taken.has_value()) return std::unexpected(taken.error());
      if (!fetch_long()) return false;
      std::vector<Value>& row = read.rows.emplace_back();
      row.reserve(columns_.size());
      for (ColumnReader& column : columns_)
        row.push_back(column.value());
    }
  }

 private:
  // What its buffer was too small for.
  bool fetch_long() {
    bool widened = false;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].is_longer_than_its_buffer()) continue;
      columns_[i].widen();
      columns_[i].bind_to(binds_[i]);
      if (mysql_stmt_fetch_column(&statement_, &binds_[i], static_cast<unsigned>(i), 0) != 0) return false;
      widened = true;
    }
    return !widened || mysql_stmt_bind_result(&statement_, binds_.data()) == 0;
  }

  MYSQL_STMT& statement_;
  std::vector<ColumnReader> columns_;
  std::vector<MYSQL_BIND> binds_;
};

// The statement keeps the names of its first run, whatever its table was made to since (tried, 3.3); its connection has
// those that came with this result.
const MYSQL_FIELD* names_of(const MYSQL_STMT& statement, const MYSQL_FIELD* fields, unsigned count) {
  const MYSQL* const connection = statement.mysql;
  const bool came =
      connection != nullptr && connection->fields != nullptr && connection->field_count == count;
  return came ? connection->fields : fields;
}

}  // namespace

std::string type_name_of(const MYSQL_FIELD& field) {
  std::string name(plain_name_of(field));
  if (has_a_sign(field) && (field.flags & UNSIGNED_FLAG) != 0) name += " UNSIGNED";
  return name;
}

Result<bool> read_rows(MYSQL_STMT& statement, ResultBudget& budget, StatementResult& read) {
  const std::unique_ptr<MYSQL_RES, FreeResult> metadata(mysql_stmt_result_metadata(&statement));
  if (metadata == nullptr) return false;
  const unsigned count = mysql_num_fields(metadata.get());
  MYSQL_FIELD* const fields = mysql_fetch_fields(metadata.get());
  const MYSQL_FIELD* const names = names_of(statement, fields, count);
  for (unsigned i = 0; i < count; ++i)
    read.columns.push_back({std::string(names[i].name, names[i].name_length), type_name_of(fields[i])});
  ResultReader reader(statement, fields, count);
  if (!reader.bind()) return false;
  return reader.read(budget, read);
}

}  // namespace troth::agent
