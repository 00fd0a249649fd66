#include "participant_agent/dialect/decimal_digits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include <fmt/format.h>

namespace troth::agent {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

template <typename Number>
std::optional<DecimalDigits> digits_of_number(Number number) {
  if (!std::isfinite(number)) return std::nullopt;
  return digits_of(fmt::format("{}", number));
}

}  // namespace

std::uint32_t DecimalDigits::fraction() const {
  const auto count = static_cast<std::int32_t>(digits.size());
  return count > point ? static_cast<std::uint32_t>(count - point) : 0;
}

std::optional<DecimalDigits> digits_of(std::string_view decimal) {
  DecimalDigits number;
  if (!decimal.empty() && (decimal.front() == '-' || decimal.front() == '+')) {
    number.negative = decimal.front() == '-';
    decimal.remove_prefix(1);
  }
  const std::size_t exponent_at = decimal.find_first_of("eE");
  std::string_view mantissa = decimal.substr(0, exponent_at);
  bool point_seen = false;
  for (const char c : mantissa) {
    if (c == '.' && !point_seen) {
      point_seen = true;
    } else if (is_digit(c)) {
      number.digits += c;
      if (!point_seen) ++number.point;
    } else {
      return std::nullopt;
    }
  }
  if (number.digits.empty()) return std::nullopt;
  if (exponent_at != std::string_view::npos) {
    std::string_view text = decimal.substr(exponent_at + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    std::int32_t exponent = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    const bool is_small = exponent > -1'000'000 && exponent < 1'000'000;
    if (problem != std::errc{} || end != text.data() + text.size() || !is_small) return std::nullopt;
    number.point += exponent;
  }
  const std::size_t leading = std::min(number.digits.find_first_not_of('0'), number.digits.size());
  number.digits.erase(0, leading);
  number.point -= static_cast<std::int32_t>(leading);
  number.digits.erase(number.digits.find_last_not_of('0') + 1);
  if (number.digits.empty()) return DecimalDigits{};
  return number;
}

std::optional<DecimalDigits> digits_of(double number) {
  return digits_of_number(number);
}

std::optional<DecimalDigits> digits_of(float number) {
  return digits_of_number(number);
}

std::string plain_text(const DecimalDigits& number, std::uint32_t fraction) {
  std::string whole;
  std::string behind;
  const auto count = static_cast<std::int32_t>(number.digits.size());
  if (number.point <= 0) {
    whole = "0";
    if (count > 0) behind = std::string(static_cast<std::size_t>(-number.point), '0') + number.digits;
  } else {
    const auto split = static_cast<std::size_t>(std::min(number.point, count));
    whole = number.digits.substr(0, split);
    whole.append(static_cast<std::size_t>(number.point) - split, '0');
    behind = number.digits.substr(split);
  }
  if (behind.size() < fraction) behind.append(fraction - behind.size(), '0');
  return fmt::format("{}{}{}{}", number.negative ? "-" : "", whole, behind.empty() ? "" : ".", behind);
}

std::optional<float> as_float(double number) {
  if (!std::isfinite(number)) return static_cast<float>(number);
  const auto narrow = static_cast<float>(number);
  if (!std::isfinite(narrow)) return std::nullopt;
  if (static_cast<double>(narrow) == number || widened(narrow) == number) return narrow;
  return std::nullopt;
}

double widened(float number) {
  if (!std::isfinite(number)) return number;
  const std::string text = fmt::format("{}", number);
  double wide = 0;
  std::from_chars(text.data(), text.data() + text.size(), wide);
  // The shortest form of the largest is a little above it, and MySQL would not take it back.
  const auto exact = static_cast<double>(number);
  return std::abs(wide) > static_cast<double>(std::numeric_limits<float>::max()) ? exact : wide;
}

}  // namespace troth::agent
