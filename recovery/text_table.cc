#include "recovery/text_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "recovery/display_width.h"

namespace troth::recovery {
namespace {

constexpr std::string_view kBetween = " | ";
// What a column keeps when a line is too wide.
constexpr std::size_t kNarrowest = 8;

// Takes from the widest column until a line fits.
void fit(std::vector<std::size_t>& widths, std::size_t columns) {
  std::size_t line = widths.empty() ? 0 : kBetween.size() * (widths.size() - 1);
  for (auto& width : widths) {
    width = std::min(width, std::max(columns, kNarrowest));
    line += width;
  }
  while (line > columns && !widths.empty()) {
    const auto widest = std::ranges::max_element(widths);
    if (*widest <= kNarrowest) return;
    --*widest;
    --line;
  }
}

bool turns_or_hides(char32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool direction = code == 0x61c || code == 0x200e || code == 0x200f ||
                         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  const bool line_end = code == 0x2028 || code == 0x2029;
  return control || direction || line_end;
}

}  // namespace

void TextTable::add(std::vector<std::string> cells) {
  CHECK(cells.size() == headings_.size());
  for (auto& cell : cells)
    cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string TextTable::line_of(const std::vector<std::string>& cells,
                               const std::vector<std::size_t>& widths) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += kBetween;
    const auto cell = cut_to_width(cells[i], std::max<std::size_t>(widths[i], 1));
    const auto room = widths[i] - std::min(widths[i], display_width(cell));
    if (to_the_right_[i]) line.append(room, ' ');
    line += cell;
    if (!to_the_right_[i] && i + 1 < cells.size()) line.append(room, ' ');
  }
  return line;
}

std::string TextTable::text(std::string_view indent, std::size_t columns) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    std::size_t width = display_width(headings_[i]);
    for (const auto& row : rows_)
      width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  if (columns > 0) fit(widths, columns - std::min(columns, indent.size()));
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

std::string TextTable::expanded(std::size_t first_row, std::size_t columns) const {
  std::size_t names = 0;
  for (const auto& heading : headings_)
    names = std::max(names, display_width(heading));
  std::string text;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    text += fmt::format("-[ row {} ]\n", first_row + i);
    for (std::size_t k = 0; k < headings_.size(); ++k) {
      text += headings_[k];
      text.append(names - display_width(headings_[k]), ' ');
      text += kBetween;
      const auto room = std::max(columns, names + kBetween.size() + kNarrowest) - names - kBetween.size();
      text += columns > 0 ? cut_to_width(rows_[i][k], room) : rows_[i][k];
      text += '\n';
    }
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto character = first_character(text);
    const auto here = text.substr(0, character.bytes);
    if (here == "\n") {
      out += "\\n";
    } else if (here == "\t") {
      out += "\\t";
    } else if (!character.valid || character.code < 0x80) {
      if (character.valid && !turns_or_hides(character.code)) {
        out += here;
      } else {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(here[0]));
      }
    } else if (turns_or_hides(character.code)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(character.code));
    } else {
      out += here;
    }
    text.remove_prefix(character.bytes);
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
