// recovery/runtime/reports.h
//
// What the coordinator reports, as text and as JSON, for each command that shows it.
#pragma once

#include <string>

#include "recovery/runtime/console.h"
#include "thrift/gen/administration_types.h"
#include "thrift/gen/transactions_types.h"

namespace troth::recovery {

[[nodiscard]] std::string text_of(const wire::StatusReply& reply);
[[nodiscard]] Json json_of(const wire::StatusReply& reply);
[[nodiscard]] std::string text_of(const wire::ClusterStatus& status);
[[nodiscard]] Json json_of(const wire::ClusterStatus& status);

}  // namespace troth::recovery
