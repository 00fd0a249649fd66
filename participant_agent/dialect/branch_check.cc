#include "participant_agent/dialect/branch_check.h"

#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "participant_agent/dialect/innodb_dialect.h"
#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/row_reader.h"

namespace troth::agent {
namespace {

// The agent's name comes last: it may hold a comma.
constexpr std::size_t kFields = 9;
constexpr std::size_t kOwnFields = 1;  // the guard's come behind

TextRow fields_of(std::string_view text) {
  TextRow fields;
  while (fields.size() + 1 < kFields) {
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos) break;
    fields.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  fields.emplace_back(text);
  return fields;
}

}  // namespace

std::string prepare_check(const ClusterId& cluster, std::string_view look, std::string_view clean) {
  const std::string query = fmt::format(
      "SELECT CAST(CONCAT_WS(',', {} <=> X'{}', o.incarnation, "
      "o.nonce, o.counter, COALESCE(f.epoch, 0), COALESCE(f.sequence, 0), COALESCE(f.request_ms, 0), {}, "
      "o.agent) AS BINARY) "
      "FROM troth_owner o LEFT JOIN troth_floor f ON f.cluster = {} WHERE o.id = 1 LIMIT 1",
      look, hexadecimal(clean), kInnodbNotDurable, plain_literal(cluster.value));
  return fmt::format("PREPARE troth_check FROM {}", quoted_literal(query));
}

Result<BranchCheck> parse_check(const TextRow& row) {
  RowReader whole("check of a branch", row);
  const TextRow fields = fields_of(whole.text());
  if (fields.size() != kFields) whole.refuse("it has not all its fields");
  if (const Result<bool> read = whole.finished(true); !read.has_value()) return std::unexpected(read.error());
  const TextRow own(fields.begin(), fields.begin() + kOwnFields);
  RowReader reader("check of a branch", own);
  BranchCheck check;
  check.clean = reader.flag();
  check.guard.push_back(fields.back());
  check.guard.insert(check.guard.end(), fields.begin() + kOwnFields, fields.end() - 1);
  return reader.finished(std::move(check));
}

}  // namespace troth::agent
