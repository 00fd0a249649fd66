// base/runtime/secret.h
//
// Reads a password from where the configuration says that it is. The value is never logged, and no message
// quotes it.
#pragma once

#include <string>

#include "base/settings.h"

namespace troth {

inline constexpr std::size_t kMaxSecretBytes = 4096;

// The file up to its first line end, or the environment variable; empty when `source` names neither.
// Fails with effect none when the file cannot be read, the variable is not set, or the secret is empty.
[[nodiscard]] Result<std::string> read_secret(const SecretSource& source);

}  // namespace troth
