// tests/sim/shim/asio/error_code.hpp
//
// Stands in for Asio's, see ../README.md.
#pragma once

namespace asio {

class error_code {
 public:
  error_code() = default;
  explicit error_code(bool failed) : failed_(failed) {}
  explicit operator bool() const { return failed_; }

 private:
  bool failed_ = false;
};

}  // namespace asio
