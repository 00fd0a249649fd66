// tests/support/child_process.h
//
// A program started by a test: its output is collected, and it never outlives the test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace troth {

class ChildProcess {
 public:
  // `arguments[0]` is the program's path. `environment` entries ("A=b") are added to the test's own.
  explicit ChildProcess(const std::vector<std::string>& arguments,
                        const std::vector<std::string>& environment = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void send(int signal) const;
  // Waits until standard output holds `text`; false when the program ended (or ten seconds passed) without
  // it.
  [[nodiscard]] bool wait_for_output(const std::string& text);
  // Waits until it is stopped by SIGSTOP; false when it ended instead.
  [[nodiscard]] bool wait_until_stopped();
  // Waits for the end. The exit code; or minus the signal that ended it.
  int wait();

  // Complete after wait().
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] const std::string& errors() const { return errors_; }

 private:
  bool read_some(int timeout_ms);

  pid_t pid_ = -1;
  int output_pipe_ = -1;
  int error_pipe_ = -1;
  std::string output_;
  std::string errors_;
  std::optional<int> ended_;
};

}  // namespace troth
