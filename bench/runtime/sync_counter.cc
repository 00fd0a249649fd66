// sync_counter: counts what a process forces to the disk, file by file, and knows nothing of what the process is.
//
// Loaded into servers before libc (LD_PRELOAD) by bench/runtime/count.py; works for any user and for any program that is
// linked dynamically. The counts live in the file that TROTH_SYNC_COUNTS names, mapped by every process that was started
// with it, forked ones included: slots of 256 bytes as in bench/counts.py. Without that file everything syncs uncounted.
//
// Not seen: writes through descriptors that were opened with O_SYNC or O_DSYNC, and msync. None of the servers that are
// measured uses these with the settings that it is given.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr std::size_t kNameBytes = 240;

struct Slot {
  enum State : std::uint32_t { kFree = 0, kNaming = 1, kNamed = 2 };
  std::atomic<std::uint32_t> state;
  std::uint32_t unused;
  std::atomic<std::uint64_t> count;
  char name[kNameBytes];
};
static_assert(sizeof(Slot) == 256);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct Table {
  Slot* slots = nullptr;
  std::size_t size = 0;
};

Table map_table() {
  const char* path = std::getenv("TROTH_SYNC_COUNTS");
  if (path == nullptr) return {};
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat status{};
  Table table;
  if (::fstat(fd, &status) == 0 && status.st_size > 0) {
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) table = {.slots = static_cast<Slot*>(mapped), .size = bytes / sizeof(Slot)};
  }
  ::close(fd);
  return table;
}

// The file's path, cut at the front where it is too long, with `#` for each run of digits behind the last slash: segments
// of one log are one thing.
void describe(int fd, char (&name)[kNameBytes]) {
  char link[32] = "/proc/self/fd/";
  char digits[12];
  std::size_t length = 0;
  auto rest = static_cast<unsigned>(fd);
  do
    digits[length++] = static_cast<char>('0' + rest % 10);
  while ((rest /= 10) != 0);
  std::reverse_copy(digits, digits + length, link + std::strlen(link));

  char path[4096];
  const ssize_t read = ::readlink(link, path, sizeof path - 1);
  path[read > 0 ? read : 0] = '\0';
  char* last = std::strrchr(path, '/');
  char* to = last == nullptr ? path : last;
  bool in_number = false;
  for (const char* from = to; *from != '\0'; ++from) {
    const bool digit = *from >= '0' && *from <= '9';
    if (!digit) *to++ = *from;
    if (digit && !in_number) *to++ = '#';
    in_number = digit;
  }
  *to = '\0';
  const std::size_t size = std::strlen(path);
  std::strncpy(name, path + (size < kNameBytes ? 0 : size - kNameBytes + 1), kNameBytes - 1);
  name[kNameBytes - 1] = '\0';
}

void count(int fd) {
  static const Table table = map_table();
  if (table.slots == nullptr) return;
  char name[kNameBytes] = {};
  describe(fd, name);
  for (std::size_t i = 0; i < table.size; ++i) {
    Slot& slot = table.slots[i];
    std::uint32_t state = slot.state.load(std::memory_order_acquire);
    if (state == Slot::kFree && slot.state.compare_exchange_strong(state, Slot::kNaming)) {
      std::memcpy(slot.name, name, kNameBytes);
      slot.state.store(Slot::kNamed, std::memory_order_release);
      state = Slot::kNamed;
    }
    while (state == Slot::kNaming)
      state = slot.state.load(std::memory_order_acquire);
    // The last slot takes whatever found no other: a full table loses names, never a sync.
    if (i + 1 == table.size || std::memcmp(slot.name, name, kNameBytes) == 0) {
      slot.count.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
}

}  // namespace

// What libc's do, after they were counted.
extern "C" {
int fsync(int fd) {
  count(fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
  count(fd);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
}
