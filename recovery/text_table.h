// recovery/text_table.h
//
// Columns for people:
//
//   id | balance
//   ---+--------
//    1 |   90.00
//
// and, where rows are wider than the screen, one line for each value:
//
//   -[ row 1 ]
//   id      | 1
//   balance | 90.00
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troth::recovery {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings)
      : headings_(std::move(headings)), to_the_right_(headings_.size()) {}

  void align_right(std::size_t column) { to_the_right_[column] = true; }
  // As many cells as there are headings.
  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  // Each line begins with `indent`; the text ends with a line end. With `columns` above 0 the widest columns
  // are cut until a line fits into so many, as far as that leaves something of each; what is cut is marked by
  // `…`.
  [[nodiscard]] std::string text(std::string_view indent = "", std::size_t columns = 0) const;
  // One line for each value. `first_row`: the number of the first one here.
  [[nodiscard]] std::string expanded(std::size_t first_row = 1, std::size_t columns = 0) const;

 private:
  [[nodiscard]] std::string line_of(const std::vector<std::string>& cells,
                                    const std::vector<std::size_t>& widths) const;

  std::vector<std::string> headings_;
  std::vector<bool> to_the_right_;
  std::vector<std::vector<std::string>> rows_;
};

// Control characters, what turns the direction of writing, and bytes that are no UTF-8 become visible
// escapes, so that no database content can play with a terminal.
[[nodiscard]] std::string printable(std::string_view text);

// "1 row", "2 rows"; "1 branch", "2 branches".
[[nodiscard]] std::string counted(std::int64_t count, std::string_view noun, std::string_view plural = {});

// "850 ms", "12 s", "5 min", "3 h", "2 d": the age of something, as people say it.
[[nodiscard]] std::string age_text(std::int64_t ms);

}  // namespace troth::recovery
