// participant_agent/dialect/row_reader.h
//
// Reads one answered row column by column; the first column that does not read as it should is remembered,
// and the whole row is refused at the end.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::agent {

class RowReader {
 public:
  RowReader(std::string_view what, const TextRow& row) : what_(what), row_(row) {}

  std::string text();  // not NULL
  std::optional<std::string> optional_text();
  std::uint64_t number();
  std::uint32_t number32();
  std::uint64_t hexadecimal();
  bool flag();  // 0 or 1

  // Octets written as 2 * N hexadecimal digits.
  template <std::size_t N>
  std::optional<std::array<std::uint8_t, N>> optional_octets() {
    const auto digits = optional_text();
    if (!digits) return std::nullopt;
    std::array<std::uint8_t, N> octets{};
    if (!octets_of(*digits, octets.data(), N)) refuse("it is not hexadecimal of the right length");
    return octets;
  }

  void refuse(std::string_view reason);

  template <typename T>
  Result<T> finished(T value) {
    if (column_ != row_.size()) refuse("the row has more columns than expected");
    if (!problem_.empty()) return fail(ErrorCode::kCorrupt, Effect::kNone, problem_);
    return value;
  }

 private:
  static bool octets_of(std::string_view digits, std::uint8_t* octets, std::size_t count);

  std::string_view what_;
  const TextRow& row_;
  std::size_t column_ = 0;
  std::string problem_;
};

}  // namespace troth::agent
