#include "base/runtime/secret.h"

#include <cstdlib>

#include <fmt/format.h>

#include "base/runtime/durable_file.h"

namespace troth {
namespace {

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

}  // namespace

Result<std::string> read_secret(const SecretSource& source) {
  if (!source.file.empty()) {
    auto content = read_file(source.file, kMaxSecretBytes);
    if (!content) return std::unexpected(std::move(content.error()));
    auto secret = content->substr(0, content->find_first_of("\r\n"));
    if (secret.empty())
      return refuse(fmt::format("the secret file {} is empty: write the password into it", source.file));
    return secret;
  }
  if (!source.environment.empty()) {
    const char* secret = std::getenv(source.environment.c_str());
    if (secret == nullptr || *secret == '\0') {
      return refuse(fmt::format("the environment variable {} is not set: it should hold the password",
                                source.environment));
    }
    return std::string(secret);
  }
  return std::string{};
}

}  // namespace troth
