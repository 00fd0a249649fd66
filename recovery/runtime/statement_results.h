// recovery/runtime/statement_results.h
//
// What a statement came to, as a table for people and as JSON; and the isolation that a person names.
#pragma once

#include <string>
#include <string_view>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/text_table.h"
#include "thrift/gen/transactions_types.h"

namespace troth::recovery {

// Numbers to the right. For a statement that returns columns.
[[nodiscard]] TextTable table_of(const wire::StatementResult& result);
// "(2 rows)", or "1 row" where nothing is returned; each line begins with `indent`.
[[nodiscard]] std::string text_of(const wire::StatementResult& result, std::string_view indent);
[[nodiscard]] Json json_of(const wire::StatementResult& result);

[[nodiscard]] wire::Isolation::type isolation_of(IsolationWish wish);

}  // namespace troth::recovery
