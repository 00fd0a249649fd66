#include "tests/sim/tool/results.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace troth::sim {

Status append_result(const std::string& path, const std::string& line) {
  const auto failed = [&](std::string_view call) {
    return fail(ErrorCode::kIo, Effect::kUnknown,
                fmt::format("cannot {} results file {}: {}", call, path, std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return failed("open");
  // In one call: two runs may end at once.
  const auto text = line + "\n";
  const auto written = ::write(file, text.data(), text.size());
  const bool is_whole = written == static_cast<ssize_t>(text.size());
  if (::close(file) != 0 || !is_whole) return failed("write");
  return {};
}

}  // namespace troth::sim
