// What the tests of docs/types.md share.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

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
// A setting of the whole server, for as long as this lives. Other tests use the server at the same time: it must
// be one that they do not notice.
class GlobalSetting {
 public:
  GlobalSetting(TestResource& resource, std::string name, const std::string& value)
      : resource_(resource),
        name_(std::move(name)),
        before_(resource_.value(fmt::format("SELECT @@GLOBAL.{}", name_))) {
    resource_.run(fmt::format("SET GLOBAL {} = {}", name_, value));
  }
  ~GlobalSetting() {
    const bool number = before_.find_first_not_of("0123456789") == std::string::npos;
    resource_.run(fmt::format("SET GLOBAL {} = {}", name_, number ? before_ : fmt::format("'{}'", before_)));
  }
  GlobalSetting(const GlobalSetting&) = delete;
  GlobalSetting& operator=(const GlobalSetting&) = delete;

 private:
  TestResource& resource_;
  const std::string name_;
  const std::string before_;
};

inline Value text(std::string text) {
  return {Text{std::move(text)}};
}

}  // namespace troth::agent
