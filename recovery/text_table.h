// recovery/text_table.h
//
// Columns for people:
//
//   id | balance
//   ---+--------
//   1  | 90.00
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troth::recovery {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings) : headings_(std::move(headings)) {}

  // As many cells as there are headings.
  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Ends with a line end; each line begins with `indent`.
  [[nodiscard]] std::string text(std::string_view indent = "") const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// Control characters become visible escapes, so that no database content can play with a terminal.
[[nodiscard]] std::string printable(std::string_view text);

// "1 row", "2 rows"; "1 branch", "2 branches".
[[nodiscard]] std::string counted(std::int64_t count, std::string_view noun, std::string_view plural = {});

// "850 ms", "12 s", "5 min", "3 h", "2 d": the age of something, as people say it.
[[nodiscard]] std::string age_text(std::int64_t ms);

}  // namespace troth::recovery
