#include "base/runtime/transaction_line.h"

#include <vector>

namespace troth {

void log_transaction(LogLimit* limit, LogLevel level, std::string_view what, const TransactionNames& names,
                     std::span<const LogField> fields) {
  if (!log_enabled(level)) return;
  std::vector<LogField> all;
  all.reserve(5 + fields.size());
  const auto name = [&all](std::string_view key, std::string_view text) {
    if (!text.empty()) all.emplace_back(key, text);
  };
  name("transaction", names.transaction);
  name("client", names.client);
  name("request_id", names.request_id);
  name("label", names.label);
  name("traceparent", names.traceparent);
  all.insert(all.end(), fields.begin(), fields.end());
  if (limit != nullptr) return log_limited(*limit, level, what, all);
  log_event(level, what, all);
}

void log_failure(LogLimit& limit, LogLevel level, std::string_view what, const TransactionNames& names,
                 const Error& error) {
  if (!log_enabled(level)) return;
  std::vector<LogField> fields{{"code", name_of(error.code)}, {"effect", name_of(error.effect)}};
  if (!error.resource.empty()) fields.emplace_back("resource", error.resource);
  if (error.branch) fields.emplace_back("branch", *error.branch);
  if (error.statement) fields.emplace_back("statement", *error.statement);
  if (!error.sqlstate.empty()) fields.emplace_back("sqlstate", error.sqlstate);
  if (error.vendor_code) fields.emplace_back("vendor_code", *error.vendor_code);
  if (!error.constraint.empty()) fields.emplace_back("constraint", error.constraint);
  const bool databases_words = !error.sqlstate.empty() || error.vendor_code.has_value();
  if (!databases_words) fields.emplace_back("why", error.message);
  log_transaction(&limit, level, what, names, fields);
}

}  // namespace troth
