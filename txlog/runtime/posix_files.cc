// The operating system's files, as txlog/runtime/files.h wants them.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "txlog/runtime/files.h"

namespace troth::txlog {
namespace {

std::string_view remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT: return "the disk or the quota is full: free space there and start again";
    case EACCES:
    case EPERM: return "give the user that runs this process access to it";
    case EROFS: return "mount the file system writable";
    case EMFILE:
    case ENFILE: return "raise the limit of open files (ulimit -n)";
    case ENOENT: return "check the configured directory";
    default: return "check the disk and the system's log, then start again";
  }
}

std::unexpected<Error> io_error(std::string_view what, const std::string& path, int error) {
  return fail(
      ErrorCode::kIo, Effect::kUnknown,
      fmt::format("cannot {} {}: {}; {}", what, path, std::generic_category().message(error), remedy(error)));
}

// Repeats a system call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    // Everything that counts was synced before; a failing close changes nothing.
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Status write_at(std::uint64_t offset, Bytes bytes) override {
    while (!bytes.empty()) {
      const auto written = uninterrupted(
          [&] { return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (written < 0) return io_error("write", path_, errno);
      if (written == 0) return io_error("write", path_, EIO);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return {};
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> to) override {
    std::size_t got = 0;
    while (got < to.size()) {
      const auto read = uninterrupted([&] {
        return ::pread(fd_.get(), to.data() + got, to.size() - got, static_cast<off_t>(offset + got));
      });
      if (read < 0) return io_error("read", path_, errno);
      if (read == 0) break;
      got += static_cast<std::size_t>(read);
    }
    return got;
  }

  Status allocate(std::uint64_t bytes) override {
    if (uninterrupted([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)); }) == 0)
      return {};
    // Not every file system reserves; writing the zeros, which comes next, does it there.
    if (errno == EOPNOTSUPP) return truncate(bytes);
    return io_error("reserve space for", path_, errno);
  }

  Status truncate(std::uint64_t bytes) override {
    if (uninterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)); }) == 0) return {};
    return io_error("set the length of", path_, errno);
  }

  Result<std::uint64_t> size() override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return io_error("look at", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  // A failed sync may have dropped the data and will say "done" when asked again: never repeat it, not even
  // for EINTR.
  Status sync_data() override {
    if (::fdatasync(fd_.get()) == 0) return {};
    return io_error("sync", path_, errno);
  }

  Status sync_all() override {
    if (::fsync(fd_.get()) == 0) return {};
    return io_error("sync", path_, errno);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

struct flock whole_file() {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

// What the holder wrote into its lock file; a guess, for a message only.
std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const auto read = ::pread(fd, text.data(), text.size(), 0);
  int pid = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + std::max<ssize_t>(read, 0), pid);
  return problem == std::errc{} && pid > 0 ? fmt::format("process {}", pid) : "another process";
}

class PosixFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case OpenMode::kRead: flags |= O_RDONLY; break;
      case OpenMode::kReadWrite: flags |= O_RDWR; break;
      case OpenMode::kCreate: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
    }
    const int fd = uninterrupted([&] { return ::open(path.c_str(), flags, 0600); });
    if (fd < 0) return io_error("open", path, errno);
    return std::make_unique<PosixFile>(fd, path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    return io_error("rename", from, errno);
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return {};
    return io_error("remove", path, errno);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
      names.push_back(entry->path().filename().string());
    if (error) return io_error("list", directory, error.value());
    std::ranges::sort(names);
    return names;
  }

  Status make_directory(const std::string& directory) override {
    // Also where it is there: whoever made it may have been killed before it was durable.
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
      return io_error("make the directory", directory, errno);
    return sync_directory((std::filesystem::path(directory) / "..").string());
  }

  Status sync_directory(const std::string& directory) override {
    const Descriptor fd(
        uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) return io_error("open", directory, errno);
    if (::fsync(fd.get()) == 0) return {};
    return io_error("sync", directory, errno);
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
    const int fd = uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); });
    if (fd < 0) return io_error("open", path, errno);
    auto lock = std::make_unique<PosixLock>(fd);
    // A lock of the open file description: it also keeps a second Log of this process out.
    auto range = whole_file();
    if (uninterrupted([&] { return ::fcntl(fd, F_OFD_SETLK, &range); }) != 0) {
      if (errno != EAGAIN && errno != EACCES) return io_error("lock", path, errno);
      return fail(ErrorCode::kNotOwner, Effect::kNone,
                  fmt::format("{} is in use by {}: stop it first, or configure another directory",
                              std::filesystem::path(path).parent_path().string(), holder_of(fd)));
    }
    const auto pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0)
      return io_error("write", path, errno);
    return lock;
  }

  bool is_locked(const std::string& path) override {
    const Descriptor fd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    if (fd.get() < 0) return false;
    auto range = whole_file();
    return ::fcntl(fd.get(), F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
  }
};

}  // namespace

Files& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace troth::txlog
