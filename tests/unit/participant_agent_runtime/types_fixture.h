// What the tests of docs/types.md share.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/global_setting.h"
#include "tests/unit/participant_agent_runtime/stored_values.h"

namespace troth::agent {

inline constexpr ErrorCode kTroth = ErrorCode::kInvalidArgument;   // refused before the server sees it
inline constexpr ErrorCode kServer = ErrorCode::kStatementFailed;  // the server's own refusal

class TypesTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (!IsSkipped()) values_.emplace(resource());
  }
  [[nodiscard]] StoredValues& values() { return *values_; }
  [[nodiscard]] bool is_mysql() const { return GetParam() == DatabaseKind::kMysql; }

  std::optional<StoredValues> values_;
};

inline Value text(std::string text) {
  return {Text{std::move(text)}};
}

}  // namespace troth::agent
