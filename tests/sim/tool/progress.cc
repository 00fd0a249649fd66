#include "tests/sim/tool/progress.h"

#include <cstdio>

#include <fmt/format.h>

namespace troth::sim {
namespace {

std::string length(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6'000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3'600);
}

}  // namespace

Progress::Progress(std::uint64_t seeds, bool is_terminal) : seeds_(seeds), is_terminal_(is_terminal) {}

std::string Progress::text(std::uint64_t done, std::uint64_t failed,
                           std::chrono::duration<double> took) const {
  const auto rate = static_cast<double>(done) / took.count();
  return fmt::format("{} of {} seeds, {} failed; {:.0f} a second, {} left", done, seeds_, failed, rate,
                     done == 0 ? "?" : length(static_cast<double>(seeds_ - done) / rate));
}

void Progress::tell(std::uint64_t done, std::uint64_t failed) {
  const auto now = std::chrono::steady_clock::now();
  if (now - told_ < std::chrono::seconds(is_terminal_ ? 1 : 10)) return;
  told_ = now;
  const auto line = text(done, failed, now - began_);
  std::fputs(is_terminal_ ? fmt::format("\r{}\x1b[K", line).c_str() : (line + "\n").c_str(), stderr);
  has_line_ = is_terminal_;
}

void Progress::make_room() {
  if (!has_line_) return;
  std::fputs("\r\x1b[K", stderr);
  has_line_ = false;
}

}  // namespace troth::sim
