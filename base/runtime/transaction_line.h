// base/runtime/transaction_line.h
//
// A line about a transaction: whatever is known of its names stands in it under the same keys in every
// process, so that one search finds all that was said of it.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/runtime/log.h"

namespace troth {

// What is empty is not known, and left out. It refers to text that the caller owns.
struct TransactionNames {
  std::string_view transaction;  // its id
  std::string_view client;
  std::string_view request_id;
  std::string_view label;
  std::string_view traceparent;
};

// `limit` null: the line is written however many there are.
void log_transaction(LogLimit* limit, LogLevel level, std::string_view what, const TransactionNames& names,
                     std::span<const LogField> fields);
inline void log_transaction(LogLimit* limit, LogLevel level, std::string_view what,
                            const TransactionNames& names, std::initializer_list<LogField> fields) {
  log_transaction(limit, level, what, names, std::span(fields.begin(), fields.size()));
}

// The same with what is known of a failure. What a database says of a statement may hold its values: only what
// names the kind of failure is written of it.
void log_failure(LogLimit& limit, LogLevel level, std::string_view what, const TransactionNames& names,
                 const Error& error);

}  // namespace troth
