#include "participant_agent/dialect/row_reader.h"

#include <charconv>

#include <fmt/format.h>

namespace troth::agent {
namespace {

template <typename T>
bool parse_number(std::string_view text, T& value, int base) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return problem == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::optional<std::string> RowReader::optional_text() {
  if (column_ >= row_.size()) {
    refuse("the row ends before it");
    return std::nullopt;
  }
  return row_[column_++];
}

std::string RowReader::text() {
  auto value = optional_text();
  if (!value) {
    refuse("it is NULL");
    return {};
  }
  return std::move(*value);
}

std::uint64_t RowReader::number() {
  std::uint64_t value = 0;
  if (!parse_number(text(), value, 10)) refuse("it is not a number");
  return value;
}

std::uint32_t RowReader::number32() {
  std::uint32_t value = 0;
  if (!parse_number(text(), value, 10)) refuse("it is not a 32-bit number");
  return value;
}

std::uint64_t RowReader::hexadecimal() {
  std::uint64_t value = 0;
  if (!parse_number(text(), value, 16)) refuse("it is not a hexadecimal number");
  return value;
}

bool RowReader::flag() {
  const auto value = text();
  if (value != "0" && value != "1") refuse("it is neither 0 nor 1");
  return value == "1";
}

void RowReader::refuse(std::string_view reason) {
  if (!problem_.empty()) return;
  problem_ =
      fmt::format("column {} of the {} cannot be read: {}; is the resource's troth schema of this version?",
                  column_, what_, reason);
}

bool RowReader::octets_of(std::string_view digits, std::uint8_t* octets, std::size_t count) {
  if (digits.size() != 2 * count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (!parse_number(digits.substr(2 * i, 2), octets[i], 16)) return false;
  }
  return true;
}

}  // namespace troth::agent
