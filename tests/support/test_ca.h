// tests/support/test_ca.h
//
// A certificate authority for one test: makes certificates of any subject and any time, in files.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tests/support/temporary_directory.h"
#include "thrift/runtime/tls.h"

namespace troth::test {

struct Subject {
  std::string unit;  // OU; empty: none
  std::string name;  // CN
  // From now.
  std::chrono::seconds valid_from = -std::chrono::hours(1);
  std::chrono::seconds valid_to = std::chrono::hours(24);
};

class TestCa {
 public:
  TestCa();
  ~TestCa();

  // Files of their own for each call; the CA's own certificate is the same one in all.
  [[nodiscard]] rpc::TlsFiles issue(const Subject& subject);
  // Overwrites what `issue` wrote.
  void renew(const rpc::TlsFiles& files, const Subject& subject);
  [[nodiscard]] std::shared_ptr<rpc::Tls> tls(const Subject& subject);

  [[nodiscard]] std::string ca_file() const { return directory_.file("ca.pem"); }

 private:
  struct Keys;
  TemporaryDirectory directory_;
  std::unique_ptr<Keys> keys_;
  int issued_ = 0;
};

}  // namespace troth::test
