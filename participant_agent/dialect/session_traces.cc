#include "participant_agent/dialect/session_traces.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/tokens.h"

namespace troth::agent {
namespace {

// Of either server, by its name there.
constexpr auto kSettings = std::to_array<std::string_view>({
    "auto_increment_increment",
    "auto_increment_offset",
    "autocommit",
    "big_tables",
    "binlog_format",
    "binlog_row_image",
    "block_encryption_mode",
    "character_set_client",
    "character_set_connection",
    "character_set_database",
    "character_set_results",
    "check_constraint_checks",
    "collation_connection",
    "collation_database",
    "completion_type",
    "cte_max_recursion_depth",
    "default_collation_for_utf8mb4",
    "default_storage_engine",
    "default_tmp_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "end_markers_in_json",
    "eq_range_index_dive_limit",
    "expensive_subquery_limit",
    "foreign_key_checks",
    "group_concat_max_len",
    "gtid_next",
    "idle_readonly_transaction_timeout",
    "idle_transaction_timeout",
    "idle_write_transaction_timeout",
    "innodb_lock_wait_timeout",
    "innodb_strict_mode",
    "innodb_table_locks",
    "insert_id",
    "join_buffer_size",
    "join_cache_level",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "low_priority_updates",
    "max_error_count",
    "max_execution_time",
    "max_heap_table_size",
    "max_join_size",
    "max_length_for_sort_data",
    "max_recursive_iterations",
    "max_sort_length",
    "max_sp_recursion_depth",
    "max_statement_time",
    "net_read_timeout",
    "net_write_timeout",
    "old_mode",
    "optimizer_prune_level",
    "optimizer_search_depth",
    "optimizer_switch",
    "optimizer_use_condition_selectivity",
    "range_optimizer_max_mem_size",
    "session_track_state_change",
    "session_track_system_variables",
    "sort_buffer_size",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_buffer_result",
    "sql_log_bin",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_require_primary_key",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "system_versioning_alter_history",
    "system_versioning_asof",
    "time_zone",
    "tmp_table_size",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "updatable_views_with_limit",
    "wait_timeout",
    "windowing_use_high_precision",
});

// What is written with a parenthesis behind it and is of the server, or no function at all. Another one only costs a
// look.
constexpr auto kOwnWords = std::to_array<std::string_view>({
    "ABS",
    "ADDDATE",
    "ALL",
    "AND",
    "ANY",
    "AS",
    "AVG",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CEIL",
    "CEILING",
    "CHAR",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "CONVERT",
    "COUNT",
    "CURDATE",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATE",
    "DATE_ADD",
    "DATE_SUB",
    "DATETIME",
    "DATEDIFF",
    "DECIMAL",
    "DISTINCT",
    "ELSE",
    "EXISTS",
    "FIELD",
    "FLOOR",
    "FROM",
    "GREATEST",
    "GROUP_CONCAT",
    "HEX",
    "IF",
    "IFNULL",
    "IN",
    "INSERT",
    "INTERVAL",
    "INTO",
    "JOIN",
    "JSON_ARRAY",
    "JSON_EXTRACT",
    "JSON_OBJECT",
    "JSON_SET",
    "JSON_UNQUOTE",
    "JSON_VALUE",
    "KEY",
    "LAST_INSERT_ID",
    "LEAST",
    "LEFT",
    "LENGTH",
    "LOWER",
    "MAX",
    "MD5",
    "MIN",
    "MOD",
    "NOT",
    "NOW",
    "NULLIF",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "POW",
    "RAND",
    "REPLACE",
    "RIGHT",
    "ROUND",
    "ROW",
    "ROW_NUMBER",
    "SELECT",
    "SET",
    "SHA2",
    "SIGN",
    "SUBSTR",
    "SUBSTRING",
    "SUM",
    "THEN",
    "TIMESTAMP",
    "TIMESTAMPDIFF",
    "TRIM",
    "TRUNCATE",
    "UNHEX",
    "UNION",
    "UNIX_TIMESTAMP",
    "UPPER",
    "USING",
    "UTC_DATE",
    "UTC_TIMESTAMP",
    "UUID",
    "VALUE",
    "VALUES",
    "WHEN",
    "WHERE",
    "YEAR",
});
static_assert(std::ranges::is_sorted(kSettings));

// One that holds nothing is as one that is not there; none can be dropped. Every further word of this is evaluated for
// each branch.
std::string count_variables(DatabaseKind kind) {
  return fmt::format(", (SELECT COUNT(*) FROM {} variable_value IS NOT NULL)",
                     kind == DatabaseKind::kMariadb
                         ? "information_schema.user_variables WHERE"
                         : "performance_schema.user_variables_by_thread WHERE thread_id = "
                           "PS_CURRENT_THREAD_ID() AND");
}

}  // namespace

Texts read_session_settings() {
  std::string names;
  for (const std::string_view name : kSettings)
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name);
  return {fmt::format("SHOW SESSION VARIABLES WHERE Variable_name IN ({})", names)};
}

// SET timestamp stops NOW(), and not SYSDATE().
std::string look_expression(DatabaseKind kind, const std::vector<std::string>& settings, bool variables) {
  std::string look =
      "CAST(CONCAT_WS(',', RELEASE_ALL_LOCKS(), LAST_INSERT_ID(0), COALESCE(DATABASE(), '-'), "
      "COALESCE(CURRENT_ROLE(), '-'), ABS(TIMESTAMPDIFF(SECOND, SYSDATE(), NOW())) > 2";
  for (const std::string& setting : settings)
    look += fmt::format(", @@SESSION.{}", setting);
  if (variables) look += count_variables(kind);
  return look + ") AS BINARY)";
}

std::string untracked_look_expression(bool variables) {
  return fmt::format(
      "CAST(CONCAT_WS(',', RELEASE_ALL_LOCKS(), LAST_INSERT_ID(0), COALESCE(CURRENT_ROLE(), '-'), "
      "@@SESSION.session_track_state_change{}) AS BINARY)",
      variables ? count_variables(DatabaseKind::kMysql) : "");
}

Texts prepare_look(std::string_view look) {
  return {fmt::format("PREPARE troth_look FROM {}", quoted_literal(fmt::format("SELECT {} LIMIT 1", look)))};
}

Texts prepare_table_look() {
  return {fmt::format("PREPARE troth_tables FROM {}",
                      quoted_literal("SELECT VARIABLE_VALUE FROM information_schema.session_status "
                                     "WHERE VARIABLE_NAME = 'COM_CREATE_TEMPORARY_TABLE'"))};
}

bool calls_stored_function(DatabaseKind kind, std::string_view sql) {
  const auto tokens = tokens_of(kind, sql);
  if (!tokens.has_value()) return true;
  for (std::size_t i = 0; i + 1 < tokens->size(); ++i) {
    const Token& token = (*tokens)[i];
    const bool is_name = token.kind == Token::Kind::kWord || token.kind == Token::Kind::kQuotedName;
    const bool opens = (*tokens)[i + 1].text == "(" && (*tokens)[i + 1].kind == Token::Kind::kPunctuation;
    const bool is_own =
        token.kind == Token::Kind::kWord && std::ranges::find(kOwnWords, token.text) != kOwnWords.end();
    // INSERT INTO name (columns)
    const bool is_table = i > 0 && (*tokens)[i - 1].text == "INTO";
    if (is_name && opens && !is_own && !is_table) return true;
  }
  return false;
}

}  // namespace troth::agent
