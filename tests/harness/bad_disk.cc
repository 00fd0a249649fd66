// bad_disk: the disk of a process goes bad while it runs. Loaded before libc (LD_PRELOAD); the file that TROTH_BAD_DISK names
// says how, read at each call: "full", "failing-sync", or nothing.
//
// - full: whatever needs space fails with ENOSPC, also what overwrites, as on a file system that never writes in place.
// - failing-sync: each sync fails with EIO. What was written stays in the page cache.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

bool is_bad(std::string_view way) {
  static const char* const path = std::getenv("TROTH_BAD_DISK");
  if (path == nullptr) return false;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 32> said{};
  const auto length = ::read(fd, said.data(), said.size());
  ::close(fd);
  return length > 0 && std::string_view(said.data(), static_cast<std::size_t>(length)) == way;
}

template <typename Result>
Result fail_with(int error) {
  errno = error;
  return -1;
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  if (is_bad("full")) return fail_with<ssize_t>(ENOSPC);
  return ::syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  if (is_bad("full")) return fail_with<int>(ENOSPC);
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, size));
}

int fdatasync(int fd) {
  if (is_bad("failing-sync")) return fail_with<int>(EIO);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

int fsync(int fd) {
  if (is_bad("failing-sync")) return fail_with<int>(EIO);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

}  // extern "C"
