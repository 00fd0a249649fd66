// Lines of a file or a pipe.
#include <array>
#include <utility>

#include "recovery/runtime/input.h"
#include "recovery/runtime/line_source.h"

namespace troth::recovery {
namespace {

class PlainLines : public LineSource {
 public:
  PlainLines(int fd, const Interrupts& interrupts) : input_(fd, interrupts) {}

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
      std::array<char, 1U << 16> bytes{};
      const auto count = input_.read(bytes);
      if (!count) return LineInterrupted{};
      unread_.append(bytes.data(), *count);
      ended_ = *count == 0;
    }
  }

 private:
  Input input_;
  std::string unread_;
  std::size_t from_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<LineSource> lines_of(int fd, Interrupts& interrupts) {
  return std::make_unique<PlainLines>(fd, interrupts);
}

}  // namespace troth::recovery
