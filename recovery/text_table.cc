#include "recovery/text_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::recovery {
namespace {

// Code points, not bytes; close enough to columns for what databases hold.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += " | ";
    line += cells[i];
    if (i + 1 < cells.size()) line.append(widths[i] - width_of(cells[i]), ' ');
  }
  return line;
}

}  // namespace

void TextTable::add(std::vector<std::string> cells) {
  CHECK(cells.size() == headings_.size());
  for (auto& cell : cells)
    cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string TextTable::text(std::string_view indent) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    std::size_t width = width_of(headings_[i]);
    for (const auto& row : rows_)
      width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  std::string rule;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (i > 0) rule += "-+-";
    rule.append(widths[i], '-');
  }
  std::string text = fmt::format("{0}{1}\n{0}{2}\n", indent, line_of(headings_, widths), rule);
  for (const auto& row : rows_)
    text += fmt::format("{}{}\n", indent, line_of(row, widths));
  return text;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string counted(std::int64_t count, std::string_view noun, std::string_view plural) {
  if (count == 1) return fmt::format("1 {}", noun);
  return plural.empty() ? fmt::format("{} {}s", count, noun) : fmt::format("{} {}", count, plural);
}

std::string age_text(std::int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 120'000) return fmt::format("{} s", ms / 1000);
  if (ms < 7'200'000) return fmt::format("{} min", ms / 60'000);
  if (ms < 172'800'000) return fmt::format("{} h", ms / 3'600'000);
  return fmt::format("{} d", ms / 86'400'000);
}

}  // namespace troth::recovery
