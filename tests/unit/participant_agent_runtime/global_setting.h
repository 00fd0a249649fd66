// A server's setting, changed while a test needs it so. Sessions that are open keep what they have.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {

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

}  // namespace troth::agent
