// Lines of a file or a pipe.
#include <array>
#include <cerrno>
#include <utility>

#include <unistd.h>

#include "recovery/runtime/line_source.h"

namespace troth::recovery {
namespace {

class PlainLines : public LineSource {
 public:
  PlainLines(int fd, Interrupts& interrupts) : fd_(fd), interrupts_(interrupts) {}

  LineRead read(const std::string&) override {
    while (true) {
      if (const auto end = unread_.find('\n', from_); end != std::string::npos) {
        auto line = unread_.substr(from_, end - from_);
        from_ = end + 1;
        return line;
      }
      unread_.erase(0, std::exchange(from_, 0));
      if (ended_) {
        if (unread_.empty()) return LinesEnded{};
        return std::exchange(unread_, {});
      }
      if (interrupts_.wait_readable(fd_) == Interrupts::Woken::kInterrupted) return LineInterrupted{};
      std::array<char, 1U << 16> bytes{};
      const auto count = ::read(fd_, bytes.data(), bytes.size());
      if (count > 0) unread_.append(bytes.data(), static_cast<std::size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
    }
  }

 private:
  int fd_;
  Interrupts& interrupts_;
  std::string unread_;
  std::size_t from_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<LineSource> lines_of(int fd, Interrupts& interrupts) {
  return std::make_unique<PlainLines>(fd, interrupts);
}

}  // namespace troth::recovery
