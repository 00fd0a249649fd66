// participant_agent/dialect/decimal_digits.h
//
// A decimal number by its digits, so that "does it fit" is asked of the digits and never of a double.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troth::agent {

// The number is 0.digits * 10^point; digits neither begin nor end with 0. Zero has none.
struct DecimalDigits {
  bool negative = false;
  std::string digits;
  std::int32_t point = 0;

  bool operator==(const DecimalDigits&) const = default;

  // How many digits its plain form needs before and behind the point.
  [[nodiscard]] std::uint32_t whole() const { return point > 0 ? static_cast<std::uint32_t>(point) : 0; }
  [[nodiscard]] std::uint32_t fraction() const;
};

// Nothing for what is no number of digits: NaN, Infinity, another form.
[[nodiscard]] std::optional<DecimalDigits> digits_of(std::string_view decimal);

// The shortest decimal that reads back as this number; nothing for NaN and the infinities.
[[nodiscard]] std::optional<DecimalDigits> digits_of(double number);
[[nodiscard]] std::optional<DecimalDigits> digits_of(float number);

// Without an exponent, with at least `fraction` digits behind the point.
[[nodiscard]] std::string plain_text(const DecimalDigits& number, std::uint32_t fraction);

// The 32-bit number that this one stands for: it is that number, or has the same shortest decimal (0.1).
// Nothing: a FLOAT would have to round it.
[[nodiscard]] std::optional<float> as_float(double number);

// What a FLOAT is to the contract: the double of its shortest decimal, which is what databases print.
[[nodiscard]] double widened(float number);

}  // namespace troth::agent
