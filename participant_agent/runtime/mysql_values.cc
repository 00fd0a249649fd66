#include "participant_agent/runtime/mysql_values.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/decimal_digits.h"
#include "participant_agent/dialect/tokens.h"

namespace troth::agent {
namespace {

// As many digits as were written, where there is room for them; never fewer than the number has.
std::uint32_t scale_of(DatabaseKind kind, const Decimal& decimal, const DecimalDigits& digits) {
  constexpr std::uint32_t kMostDigits = 65;
  const std::size_t point = decimal.text.find('.');
  std::uint32_t written = 0;
  if (point != std::string::npos && decimal.text.find_first_of("eE") == std::string::npos)
    written = static_cast<std::uint32_t>(std::min<std::size_t>(decimal.text.size() - point - 1, kMostDigits));
  const std::uint32_t room =
      std::min(most_decimal_scale(kind), kMostDigits - std::min(digits.whole(), kMostDigits));
  return std::max(digits.fraction(), std::min(written, room));
}

std::optional<int> number_at(std::string_view text, std::size_t at, std::size_t size) {
  if (text.size() < at + size) return std::nullopt;
  int number = 0;
  const char* end = text.data() + at + size;
  const auto [stop, problem] = std::from_chars(text.data() + at, end, number);
  if (problem != std::errc{} || stop != end) return std::nullopt;
  return number;
}

// Z, +HH, +HH:MM.
std::optional<std::chrono::minutes> offset_of(std::string_view zone) {
  if (zone == "Z") return std::chrono::minutes(0);
  if (zone.size() != 3 && zone.size() != 6) return std::nullopt;
  const std::optional<int> hours = number_at(zone, 1, 2);
  const std::optional<int> minutes = zone.size() == 6 ? number_at(zone, 4, 2) : 0;
  if (!hours.has_value() || !minutes.has_value()) return std::nullopt;
  const auto offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return zone.front() == '-' ? -offset : offset;
}

}  // namespace

std::string cast_decimals(DatabaseKind kind, const std::string& sql, const std::vector<Value>& parameters) {
  const bool any = std::ranges::any_of(
      parameters, [](const Value& value) { return std::holds_alternative<Decimal>(value.is); });
  if (!any) return sql;
  const auto tokens = tokens_of(kind, sql);
  if (!tokens.has_value()) return sql;
  std::string cast;
  std::size_t copied = 0;
  for (const Token& token : *tokens) {
    if (token.kind != Token::Kind::kPlaceholder || token.placeholder > parameters.size()) continue;
    const auto* decimal = std::get_if<Decimal>(&parameters[token.placeholder - 1].is);
    if (decimal == nullptr) continue;
    cast += sql.substr(copied, token.at - copied);
    cast += fmt::format("CAST(? AS DECIMAL(65,{}))",
                        scale_of(kind, *decimal, digits_of(decimal->text).value_or(DecimalDigits{})));
    copied = token.at + 1;
  }
  return cast + sql.substr(copied);
}

std::string decimal_text(DatabaseKind kind, const Decimal& decimal) {
  const auto digits = digits_of(decimal.text);
  CHECK(digits.has_value(), "check_statements refuses {} here", decimal.text);
  return plain_text(*digits, scale_of(kind, decimal, *digits));
}

bool travels_alone(const Bytes& bytes) {
  constexpr std::size_t kLarge = 65'536;
  return bytes.octets.size() > kLarge;
}

std::size_t packet_bytes(const std::vector<Value>& parameters) {
  std::size_t together = 0;
  std::size_t largest = 0;
  for (const Value& value : parameters) {
    if (const auto* bytes = std::get_if<Bytes>(&value.is); bytes != nullptr && travels_alone(*bytes)) {
      largest = std::max(largest, bytes->octets.size());
    } else {
      together += size_of(value);
    }
  }
  return std::max(together, largest);
}

std::optional<std::string> timestamp_in_utc(std::string_view text) {
  const std::size_t zone_at = text.find_first_of("Z+-", 19);
  if (zone_at == std::string_view::npos) return std::nullopt;
  const auto year = number_at(text, 0, 4);
  const auto month = number_at(text, 5, 2);
  const auto day = number_at(text, 8, 2);
  const auto hour = number_at(text, 11, 2);
  const auto minute = number_at(text, 14, 2);
  const auto second = number_at(text, 17, 2);
  const auto offset = offset_of(text.substr(zone_at));
  if (!year || !month || !day || !hour || !minute || !second || !offset) return std::nullopt;

  using namespace std::chrono;
  const year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const sys_seconds instant = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second) - *offset;
  const auto midnight = floor<days>(instant);
  const year_month_day utc_date(midnight);
  const hh_mm_ss time(instant - midnight);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}{}", static_cast<int>(utc_date.year()),
                     static_cast<unsigned>(utc_date.month()), static_cast<unsigned>(utc_date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     text.substr(19, zone_at - 19));
}

}  // namespace troth::agent
