#include "base/runtime/durable_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/runtime/file_descriptor.h"

namespace troth {
namespace {

std::unexpected<Error> io_failed(std::string_view doing, const std::string& path, Effect effect) {
  const int problem = errno;
  return fail(ErrorCode::kIo, effect, fmt::format("cannot {} {}: {}", doing, path, std::strerror(problem)));
}

Status write_all(const FileDescriptor& file, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const auto written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_failed("write", path, Effect::kNone);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return io_failed("open", path, Effect::kNone);
  std::string content(max_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const auto got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_failed("read", path, Effect::kNone);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_bytes) {
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("{} is larger than {} bytes: this is not the file that was meant", path, max_bytes));
  }
  content.resize(size);
  return content;
}

Status write_durably(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  {
    const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) return io_failed("create", temporary, Effect::kNone);
    if (auto written = write_all(file, content, temporary); !written) return written;
    if (::fsync(file.get()) != 0) return io_failed("sync", temporary, Effect::kNone);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return io_failed("rename to", path, Effect::kNone);
  const auto slash = path.rfind('/');
  return sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Status sync_directory(const std::string& path) {
  const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) return io_failed("open directory", path, Effect::kUnknown);
  if (::fsync(directory.get()) != 0) return io_failed("sync directory", path, Effect::kUnknown);
  return {};
}

}  // namespace troth
