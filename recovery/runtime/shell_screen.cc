#include "recovery/runtime/shell_screen.h"

#include <cstdio>

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "recovery/runtime/input.h"

namespace troth::recovery {
namespace {

// Single keys, unseen, for as long as it lives.
class SingleKeys {
 public:
  SingleKeys() {
    changed_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!changed_) return;
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  }
  ~SingleKeys() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  SingleKeys(const SingleKeys&) = delete;
  SingleKeys& operator=(const SingleKeys&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

}  // namespace

ScreenSize screen_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

bool is_at_terminal() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

bool wants_more(std::string_view question, const Interrupts& interrupts) {
  std::printf("%.*s", static_cast<int>(question.size()), question.data());
  std::fflush(stdout);
  char key = 'q';
  {
    const SingleKeys keys;
    constexpr char kCtrlD = 4;
    if (Input(STDIN_FILENO, interrupts).read({&key, 1}).value_or(0) != 1 || key == kCtrlD) key = 'q';
  }
  std::printf("\r%*s\r", static_cast<int>(question.size()), "");
  std::fflush(stdout);
  return key != 'q' && key != 'Q';
}

}  // namespace troth::recovery
