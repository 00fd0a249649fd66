#include "recovery/runtime/doctor_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/runtime/clock.h"
#include "base/runtime/file_descriptor.h"
#include "recovery/runtime/log_verdict.h"
#include "txlog/runtime/inspect.h"

namespace troth::recovery {
namespace {

namespace fs = std::filesystem;

constexpr int kSyncs = 100;
constexpr std::size_t kBlock = 4096;

std::string reason() {
  return std::strerror(errno);
}

std::string user_name(uid_t id) {
  const passwd* entry = ::getpwuid(id);
  return entry == nullptr ? fmt::format("{}", id) : entry->pw_name;
}

// A mount's path in /proc writes spaces and their like as \040.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool is_below(const std::string& path, const std::string& mount) {
  if (mount == "/") return true;
  return path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/');
}

// The mount with the longest path above the directory; of equal ones the last hides the others.
void name_file_system(DirectoryFacts& facts) {
  std::error_code failed;
  const std::string path = fs::canonical(facts.path, failed);
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // number parent device root MOUNT options [fields...] - TYPE source options
    std::istringstream words(line);
    std::vector<std::string> all;
    for (std::string word; words >> word;)
      all.push_back(std::move(word));
    const auto dash = std::ranges::find(all, "-");
    if (all.size() < 5 || dash == all.end() || dash + 1 == all.end()) continue;
    const auto mount = unescaped(all[4]);
    if (!is_below(path, mount) || mount.size() < facts.mount.size()) continue;
    facts.mount = mount;
    facts.file_system = *(dash + 1);
  }
}

// As a log writes: into a preallocated file, a block at a time. The file has no name, so that nothing stays.
void time_syncs(DirectoryFacts& facts) {
  const auto unseen = [&](std::string why) { facts.unseen.push_back({"sync latency", std::move(why)}); };
  FileDescriptor file(::open(facts.path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() < 0) {
    if (errno != EOPNOTSUPP && errno != EISDIR) return unseen(reason());
    std::string name = facts.path + "/doctor.XXXXXX";
    file = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
    if (file.get() < 0) return unseen(reason());
    ::unlink(name.c_str());
  }
  const std::array<char, kBlock> block{};
  for (int i = 0; i < kSyncs; ++i) {
    if (::pwrite(file.get(), block.data(), block.size(), static_cast<off_t>(i * kBlock)) != kBlock)
      return unseen(reason());
  }
  if (::fsync(file.get()) != 0) return unseen(reason());
  std::vector<std::int64_t> took;
  for (int i = 0; i < kSyncs; ++i) {
    const auto begun = boot_now();
    if (::pwrite(file.get(), block.data(), block.size(), static_cast<off_t>(i * kBlock)) != kBlock ||
        ::fdatasync(file.get()) != 0)
      return unseen(reason());
    took.push_back((boot_now() - begun).count());
  }
  std::ranges::sort(took);
  facts.sync_median_us = took[kSyncs / 2];
  facts.sync_99th_us = took[kSyncs * 99 / 100 - 1];
}

void measure_room(DirectoryFacts& facts) {
  struct statvfs room{};
  if (::statvfs(facts.path.c_str(), &room) != 0) {
    facts.unseen.push_back({"free space", reason()});
    facts.segment_bytes = 0;  // nothing to compare with
    return;
  }
  facts.free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(facts.log, failed)) {
    std::error_code gone;
    const auto size = entry.file_size(gone);
    if (!gone) facts.used_bytes += size;
  }
}

void see_owner(DirectoryFacts& facts) {
  struct stat own{};
  if (::stat(facts.path.c_str(), &own) != 0) return facts.unseen.push_back({"its owner", reason()});
  facts.mode = own.st_mode & 07777U;
  facts.owner = user_name(own.st_uid);
  std::error_code failed;
  for (fs::recursive_directory_iterator at(facts.path, failed), end; !failed && at != end;
       at.increment(failed)) {
    struct stat file{};
    if (::lstat(at->path().c_str(), &file) != 0 || file.st_uid == own.st_uid) continue;
    facts.foreign.push_back(
        fmt::format("{} ({})", fs::relative(at->path(), facts.path).string(), user_name(file.st_uid)));
  }
  if (failed) facts.unseen.push_back({"what is in it", failed.message()});
}

void verify_log(DirectoryFacts& facts, bool must_hold_one) {
  std::error_code failed;
  // Made by `init`, and never started.
  if (!must_hold_one && (!fs::exists(facts.log, failed) || fs::is_empty(facts.log, failed))) return;
  const auto report = txlog::verify(facts.log);
  if (!report) {
    if (report.error().code != ErrorCode::kCorrupt) {
      facts.verdict = LogVerdict::kUnseen;
      facts.unseen.push_back({"the log", report.error().message});
    } else {
      facts.verdict = LogVerdict::kDamaged;
      facts.verdict_text = report.error().message;
    }
    return;
  }
  facts.live = report->live;
  if (std::holds_alternative<txlog::CutTail>(report->verdict)) facts.verdict = LogVerdict::kCutTail;
  if (std::holds_alternative<txlog::Refusal>(report->verdict)) facts.verdict = LogVerdict::kDamaged;
  facts.verdict_text = words_of(report->verdict).text;
}

std::string why_unusable(const DirectoryFacts& facts, std::optional<OwnerKind> kind) {
  std::error_code failed;
  if (!fs::is_directory(facts.path, failed))
    return failed ? failed.message() : fmt::format("{} is no directory", facts.path);
  if (!kind) return {};
  const auto identity = read_identity(facts.path);
  if (!identity) return identity.error().message;
  if (identity->kind == *kind) return {};
  return fmt::format("it was made for another kind of process: {}", name_of(identity->kind));
}

}  // namespace

DirectoryFacts look_at(DirectoryFacts known, std::optional<OwnerKind> kind) {
  DirectoryFacts facts = std::move(known);
  facts.missing = why_unusable(facts, kind);
  if (!facts.missing.empty()) return facts;
  verify_log(facts, /*must_hold_one=*/!kind.has_value());
  name_file_system(facts);
  time_syncs(facts);
  measure_room(facts);
  see_owner(facts);
  return facts;
}

MachineFacts look_at_machine() {
  timex clock{};  // modes 0: only read
  const int state = ::adjtimex(&clock);
  MachineFacts facts;
  if (state >= 0) facts.clock_synchronised = state != TIME_ERROR;
  return facts;
}

}  // namespace troth::recovery
