#include "participant_agent/runtime/mysql_binding.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "base/check.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {
namespace {

struct Binder {
  DatabaseKind kind;
  MYSQL_BIND& to;
  std::deque<std::string>& texts;
  std::deque<std::uint64_t>& numbers;

  void operator()(const Null&) const { to.buffer_type = MYSQL_TYPE_NULL; }
  void operator()(bool b) const { number(b ? 1 : 0); }
  void operator()(std::int64_t n) const { number(static_cast<std::uint64_t>(n)); }
  void operator()(std::uint64_t n) const {
    number(n);
    to.is_unsigned = 1;
  }
  void operator()(double d) const {
    number(std::bit_cast<std::uint64_t>(d));
    to.buffer_type = MYSQL_TYPE_DOUBLE;
  }
  // A string would be taken for text in the connection's character set.
  void operator()(const Bytes& bytes) const { octets(MYSQL_TYPE_BLOB, bytes.octets); }
  void operator()(const Decimal& decimal) const { own_text(decimal_text(kind, decimal)); }
  void operator()(const TimestampTz& stamp) const {
    own_text(timestamp_in_utc(stamp.text).value_or(stamp.text));
  }
  void operator()(const Array&) const { CHECK(false, "check_statements refuses arrays here"); }
  template <typename Tag>
  void operator()(const Texted<Tag>& texted) const {
    octets(MYSQL_TYPE_STRING, texted.text);
  }

  void number(std::uint64_t bits) const {
    to.buffer_type = MYSQL_TYPE_LONGLONG;
    to.buffer = &numbers.emplace_back(bits);
  }
  void own_text(std::string text) const { octets(MYSQL_TYPE_STRING, texts.emplace_back(std::move(text))); }
  // libmariadb only reads it.
  void octets(enum_field_types type, std::string_view octets) const {
    to.buffer_type = type;
    to.buffer = const_cast<char*>(octets.data());
    to.buffer_length = octets.size();
  }
};

// In packets of its own, each well below what a server takes.
bool send_long(MYSQL_STMT& statement, unsigned parameter, std::string_view octets) {
  constexpr std::size_t kPiece = 1'048'576;
  do {
    const std::string_view piece = octets.substr(0, kPiece);
    octets.remove_prefix(piece.size());
    if (mysql_stmt_send_long_data(&statement, parameter, piece.data(), piece.size()) != 0) return false;
  } while (!octets.empty());
  return true;
}

}  // namespace

BoundParameters::BoundParameters(DatabaseKind kind, const std::vector<Value>& parameters)
    : parameters_(parameters), binds_(parameters.size()) {
  for (std::size_t i = 0; i < parameters.size(); ++i)
    std::visit(Binder{.kind = kind, .to = binds_[i], .texts = texts_, .numbers = numbers_}, parameters[i].is);
}

bool BoundParameters::bind_to(MYSQL_STMT& statement) {
  if (binds_.empty()) return true;
  if (mysql_stmt_bind_param(&statement, binds_.data()) != 0) return false;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto* bytes = std::get_if<Bytes>(&parameters_[i].is);
    if (bytes != nullptr && travels_alone(*bytes) &&
        !send_long(statement, static_cast<unsigned>(i), bytes->octets))
      return false;
  }
  return true;
}

}  // namespace troth::agent
