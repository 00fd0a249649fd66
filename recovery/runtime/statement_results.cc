#include "recovery/runtime/statement_results.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/values.h"

namespace troth::recovery {
namespace {

bool is_number(const wire::Value& value) {
  const auto& set = value.__isset;
  return set.int64 || set.uint64 || set.float64 || set.decimal;
}

// Some, and nothing else but NULL.
bool holds_numbers(const wire::StatementResult& result, std::size_t column) {
  bool some = false;
  for (const auto& row : result.rows) {
    if (column >= row.values.size() || row.values[column].__isset.is_null) continue;
    if (!is_number(row.values[column])) return false;
    some = true;
  }
  return some;
}

}  // namespace

TextTable table_of(const wire::StatementResult& result) {
  std::vector<std::string> headings;
  headings.reserve(result.columns.size());
  for (const auto& column : result.columns)
    headings.push_back(printable(column.name));
  TextTable table(std::move(headings));
  for (std::size_t i = 0; i < result.columns.size(); ++i) {
    if (holds_numbers(result, i)) table.align_right(i);
  }
  for (const auto& row : result.rows) {
    std::vector<std::string> cells;
    cells.reserve(row.values.size());
    for (const auto& value : row.values)
      cells.push_back(value_text(value));
    cells.resize(result.columns.size());
    table.add(std::move(cells));
  }
  return table;
}

std::string text_of(const wire::StatementResult& result, std::string_view indent) {
  if (result.columns.empty()) {
    auto text = fmt::format("{}{}\n", indent, counted(result.affected_rows, "row"));
    if (result.__isset.generated_key)
      text += fmt::format("{}generated key {}\n", indent, result.generated_key);
    return text;
  }
  return table_of(result).text(indent) +
         fmt::format("{}({})\n", indent, counted(static_cast<std::int64_t>(result.rows.size()), "row"));
}

Json json_of(const wire::StatementResult& result) {
  Json columns = Json::array();
  for (const auto& column : result.columns)
    columns.push_back({{"name", column.name}, {"type", column.type}});
  Json rows = Json::array();
  for (const auto& row : result.rows) {
    Json values = Json::array();
    for (const auto& value : row.values)
      values.push_back(value_json(value));
    rows.push_back(std::move(values));
  }
  Json json{
      {"affected_rows", result.affected_rows}, {"columns", std::move(columns)}, {"rows", std::move(rows)}};
  if (result.__isset.generated_key) json["generated_key"] = result.generated_key;
  return json;
}

wire::Isolation::type isolation_of(IsolationWish wish) {
  switch (wish) {
    case IsolationWish::kServer: return wire::Isolation::SERVER_DEFAULT;
    case IsolationWish::kReadCommitted: return wire::Isolation::READ_COMMITTED;
    case IsolationWish::kRepeatableRead: return wire::Isolation::REPEATABLE_READ;
    case IsolationWish::kSerializable: return wire::Isolation::SERIALIZABLE;
  }
  return wire::Isolation::SERVER_DEFAULT;
}

}  // namespace troth::recovery
