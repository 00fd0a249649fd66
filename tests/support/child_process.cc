#include "tests/support/child_process.h"

#include <array>
#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

extern char** environ;

namespace troth {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Appends what can be read now; closes the pipe at its end.
void drain(int& pipe, std::string& text) {
  std::array<char, 4096> buffer{};
  const auto got = ::read(pipe, buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
    return;
  }
  ::close(pipe);
  pipe = -1;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const std::vector<std::string>& environment) {
  std::array<int, 2> out{}, err{};
  CHECK(::pipe2(out.data(), O_CLOEXEC) == 0 && ::pipe2(err.data(), O_CLOEXEC) == 0);
  auto argument_texts = arguments;
  auto environment_texts = environment;
  for (char** each = environ; *each != nullptr; ++each)
    environment_texts.emplace_back(*each);
  auto argv = pointers_to(argument_texts);
  auto envp = pointers_to(environment_texts);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  const int started = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  CHECK(started == 0, "cannot start {}", arguments[0]);
  ::close(out[1]);
  ::close(err[1]);
  output_pipe_ = out[0];
  error_pipe_ = err[0];
}

ChildProcess::~ChildProcess() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  if (output_pipe_ >= 0) ::close(output_pipe_);
  if (error_pipe_ >= 0) ::close(error_pipe_);
}

void ChildProcess::send(int signal) const {
  if (!ended_) ::kill(pid_, signal);
}

// False when both pipes are closed.
bool ChildProcess::read_some(int timeout_ms) {
  std::array<pollfd, 2> polled{pollfd{output_pipe_, POLLIN, 0}, pollfd{error_pipe_, POLLIN, 0}};
  if (output_pipe_ < 0 && error_pipe_ < 0) return false;
  ::poll(polled.data(), polled.size(), timeout_ms);
  if (output_pipe_ >= 0 && polled[0].revents != 0) drain(output_pipe_, output_);
  if (error_pipe_ >= 0 && polled[1].revents != 0) drain(error_pipe_, errors_);
  return true;
}

bool ChildProcess::wait_for_output(const std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (output_.find(text) == std::string::npos) {
    if (!read_some(100) || std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

bool ChildProcess::wait_until_stopped() {
  int status = 0;
  if (::waitpid(pid_, &status, WUNTRACED) != pid_) return false;
  if (WIFSTOPPED(status)) return true;
  ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return false;
}

int ChildProcess::wait() {
  while (read_some(100)) {
  }
  if (!ended_) {
    int status = 0;
    CHECK(::waitpid(pid_, &status, 0) == pid_);
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return *ended_;
}

}  // namespace troth
