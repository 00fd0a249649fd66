// recovery/doctor_questions.h
//
// What `troth doctor` asks a database, and how the answers read. One question each, so that one that is refused
// costs no other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/dialect.h"
#include "recovery/doctor_facts.h"

namespace troth::recovery {

template <typename Facts>
struct Question {
  std::string_view about;  // for the finding that it could not be asked
  std::string text;
  void (*read)(const agent::TextRows& rows, ResourceFacts& resource, Facts& facts);
  // What a refusal means; null: that it could not be examined.
  void (*refused)(Facts& facts) = nullptr;
};

[[nodiscard]] std::vector<Question<PostgresFacts>> postgres_questions();
// `kind` is kMysql or kMariadb.
[[nodiscard]] std::vector<Question<InnodbFacts>> innodb_questions(agent::DatabaseKind kind);

// The server's clock, in milliseconds since 1970.
[[nodiscard]] std::string clock_question(agent::DatabaseKind kind);
// One row, the version of Troth's tables; fails where they are not, or may not be read.
[[nodiscard]] std::string schema_version_question(agent::DatabaseKind kind);

// MySQL and MariaDB tell the rights on a table only to who tries: EXPLAIN checks them and does nothing.
struct RightProbe {
  std::string_view right;
  std::string text;
};
[[nodiscard]] std::vector<RightProbe> right_probes(const InnodbTable& table);
// Does this vendor code say that the right is missing?
[[nodiscard]] bool means_missing_right(std::int32_t vendor_code);

}  // namespace troth::recovery
