// What is wrong with a data or log directory, and with this machine's clock.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recovery/doctor.h"

namespace troth::recovery {
namespace {

constexpr std::int64_t kSlowSyncUs = 10'000;
constexpr std::int64_t kSuspiciousSyncUs = 15;

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

constexpr std::array<std::string_view, 2> kVolatile{"tmpfs", "ramfs"};
constexpr std::array<std::string_view, 2> kOverlay{"overlay", "aufs"};
constexpr std::array<std::string_view, 9> kNetwork{"nfs",  "nfs4",   "cifs", "smb3",     "9p",
                                                   "ceph", "lustre", "fuse", "glusterfs"};

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{} MiB", (bytes + (1U << 20) - 1) >> 20);
}

// A shell takes it as one word.
std::string shell_word(const std::string& text) {
  if (text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") ==
      std::string::npos)
    return text;
  std::string word = "'";
  for (const char c : text)
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

class Directory {
 public:
  explicit Directory(const DirectoryFacts& facts) : facts_(facts) {}

  std::vector<Finding> examine() && {
    if (!facts_.missing.empty()) {
      tell("directory-missing", facts_.missing,
           {{"program", facts_.program}, {"config", shell_word(facts_.config)}});
      return std::move(findings_);
    }
    judge_log();
    judge_file_system();
    judge_syncs();
    judge_room();
    judge_owner();
    for (const auto& [about, reason] : facts_.unseen)
      tell("directory-unseen", fmt::format("{}: {}", about, reason));
    return std::move(findings_);
  }

 private:
  void tell(std::string_view id, std::string seen, const Names& names = {}) {
    findings_.push_back(found(id, "directory " + facts_.path, std::move(seen), names));
  }

  void judge_log() {
    switch (facts_.verdict) {
      case LogVerdict::kWhole:
      case LogVerdict::kUnseen: return;  // why not is told by itself
      case LogVerdict::kCutTail:
        return tell("log-cut-tail", facts_.verdict_text, {{"log", shell_word(facts_.log)}});
      case LogVerdict::kDamaged:
        return tell("log-damaged", facts_.verdict_text, {{"log", shell_word(facts_.log)}});
    }
  }

  void judge_file_system() {
    const std::string seen = fmt::format("{} on {}", facts_.file_system, facts_.mount);
    if (is_one_of(kVolatile, facts_.file_system)) tell("file-system-volatile", seen);
    if (is_one_of(kOverlay, facts_.file_system)) tell("file-system-overlay", seen);
    if (is_one_of(kNetwork, facts_.file_system) || facts_.file_system.starts_with("fuse."))
      tell("file-system-network", seen);
  }

  void judge_syncs() {
    if (!facts_.sync_median_us || is_one_of(kVolatile, facts_.file_system)) return;
    const auto seen = fmt::format("of 100 syncs the median took {} us, the 99th {} us",
                                  *facts_.sync_median_us, facts_.sync_99th_us);
    if (*facts_.sync_median_us > kSlowSyncUs) tell("sync-slow", seen);
    if (*facts_.sync_median_us < kSuspiciousSyncUs) tell("sync-suspicious", seen);
  }

  void judge_room() {
    if (facts_.segment_bytes == 0) return;
    const auto told = [&](std::uint64_t wanted) {
      return fmt::format("{} free on {}, the log has {} of {}; {} are missing", mebibytes(facts_.free_bytes),
                         facts_.mount, mebibytes(facts_.used_bytes), mebibytes(facts_.log_bytes),
                         mebibytes(wanted - facts_.free_bytes));
    };
    const auto names = [&](std::uint64_t wanted) -> Names {
      return {{"missing", mebibytes(wanted - facts_.free_bytes)},
              {"mount", facts_.mount},
              {"setting", facts_.size_setting}};
    };
    const std::uint64_t two = 2 * facts_.segment_bytes;
    // Cleaning copies what lives into the next segment before the oldest goes.
    const std::uint64_t whole = facts_.log_bytes + facts_.segment_bytes;
    const std::uint64_t rest = whole > facts_.used_bytes ? whole - facts_.used_bytes : 0;
    if (facts_.free_bytes < two) return tell("disk-full", told(two), names(two));
    if (facts_.free_bytes < rest) tell("disk-low", told(rest), names(rest));
  }

  void judge_owner() {
    if ((facts_.mode & 077U) != 0) {
      tell("directory-open", fmt::format("its mode is {:04o}", facts_.mode),
           {{"directory", shell_word(facts_.path)}});
    }
    if (!facts_.foreign.empty()) {
      tell("directory-owner", fmt::format("not {}'s: {}", facts_.owner, listed(facts_.foreign)),
           {{"owner", facts_.owner}, {"directory", shell_word(facts_.path)}});
    }
  }

  const DirectoryFacts& facts_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine(const DirectoryFacts& facts) {
  return Directory(facts).examine();
}

std::vector<Finding> examine(const MachineFacts& facts) {
  if (facts.clock_synchronised.value_or(true)) return {};
  return {
      found("clock-unsynchronised", "this machine", "the kernel says that its clock is not synchronised")};
}

}  // namespace troth::recovery
