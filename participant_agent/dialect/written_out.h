// participant_agent/dialect/written_out.h
//
// A client's statement of MySQL or MariaDB whose values may be written in the place of its `?`, so that it can stand in a
// text of several statements; and where they go.
//
// The caller has the server's word that the text is one whole statement, with so many parameters: it has prepared it.
// What could make another thing of it inside of a longer text, or of a value there, goes the old way:
//
//   a quote, backslash, #, --, /*     would swallow what stands behind, or hide a `?` from the count
//   ; @ : and what is not ASCII       another statement, a variable, a character of another character set
//   a `?` that is no operand          ORDER BY 2 is a column, ORDER BY ? a value; LIMIT and LIKE have rules of their own
//   a value of another type           MySQL makes of a parameter what its column is, and compares a literal as what it is:
//                                     `id = ''` is an error, or no row
//
// So it changes one table, a `?` stands as in `column = ?`, `column + ?`, `column IN (?, ...)` or VALUES (?, ...), and its
// value has its column's own type.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "participant_agent/dialect/assignments.h"
#include "participant_agent/dialect/catalogue.h"

namespace troth::agent {

class WritableText {
 public:
  [[nodiscard]] static std::optional<WritableText> of(std::string_view sql);

  // Whose columns the values meet; nullopt: there are no values.
  [[nodiscard]] const std::optional<TableName>& table() const { return table_; }
  [[nodiscard]] std::size_t parameters() const { return places_.size(); }

  // `assigned`: as `shapes_of` tells, from the same columns. False: it is no writable text.
  [[nodiscard]] bool learn(const std::vector<ColumnShape>& columns, const ParameterShapes& assigned);
  // After `learn`, of as many values.
  [[nodiscard]] bool takes(const std::vector<Value>& values) const;
  // One literal for each: a primary expression, as `(-5)`, that needs no more than spaces around it.
  [[nodiscard]] std::string with(const std::vector<std::string>& literals) const;

 private:
  enum class Meets : std::uint8_t {
    kColumn,  // compared with it, or assigned to it
    kSum,     // added to it
    kRow,     // in a row of VALUES: its assignment tells the column
  };
  struct Place {
    std::size_t at = 0;
    Meets meets = Meets::kColumn;
    bool is_cast = false;  // CAST(? AS DECIMAL(65,s)), which is how every decimal is sent
    std::string column;    // in upper case
    ColumnShape shape;
  };
  friend class WritableTextReader;

  std::optional<TableName> table_;
  std::vector<Place> places_;
  std::vector<std::string> pieces_;  // between the `?`
};

}  // namespace troth::agent
