// base/runtime/secret.h
//
// Reads a password from where the configuration says that it is. The value is never logged, and no message
// quotes it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/settings.h"

namespace troth {

inline constexpr std::size_t kMaxSecretBytes = 4096;

// A secret that may be exchanged while it is in use: all copies are the same one. Safe from every thread.
class SharedSecret {
 public:
  SharedSecret() : SharedSecret(std::string()) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a text is a secret of its own
  SharedSecret(std::string value) : cell_(std::make_shared<Cell>()) { cell_->value = std::move(value); }

  [[nodiscard]] std::string value() const {
    const std::lock_guard lock(cell_->mutex);
    return cell_->value;
  }
  void replace(std::string value) {
    const std::lock_guard lock(cell_->mutex);
    cell_->value = std::move(value);
  }

 private:
  struct Cell {
    std::mutex mutex;
    std::string value;
  };
  std::shared_ptr<Cell> cell_;
};

// The file up to its first line end, or the environment variable; empty when `source` names neither.
// Fails with effect none when the file cannot be read, the variable is not set, or the secret is empty.
[[nodiscard]] Result<std::string> read_secret(const SecretSource& source);

}  // namespace troth
