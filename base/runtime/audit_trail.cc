#include "base/runtime/audit_trail.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime/durable_file.h"
#include "base/runtime/file_descriptor.h"

namespace troth {

Status append_audit(const std::string& path, WallTime now, std::string_view action,
                    std::initializer_list<LogField> fields, AuditLine durability) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  auto line =
      fmt::format("time={:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
  append_logfmt(line, {"action", action});
  for (const auto& field : fields)
    append_logfmt(line, field);
  line += '\n';

  const std::string directory = path.substr(0, path.rfind('/') + 1);
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  // An administrator's tool may be the first to write; the directory's own process must be able to go on.
  struct stat owner{};
  if (file.is_open() && ::geteuid() == 0 && ::stat(directory.c_str(), &owner) == 0)
    static_cast<void>(::fchown(file.get(), owner.st_uid, owner.st_gid));
  // One write: a line is never mixed with another process's.
  const bool written = file.is_open() &&
                       ::write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       (durability == AuditLine::kMayBeLost || ::fsync(file.get()) == 0);
  if (!written) {
    return fail(ErrorCode::kIo, Effect::kNone,
                fmt::format("cannot write the audit trail {}: {}; nothing was done, because it could not be "
                            "written down",
                            path, std::strerror(errno)));
  }
  return durability == AuditLine::kMayBeLost ? Status{} : sync_directory(directory);
}

}  // namespace troth
