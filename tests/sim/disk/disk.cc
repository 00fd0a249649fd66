#include "tests/sim/disk/disk.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/check.h"
#include "txlog/format.h"

namespace troth::sim {
namespace {

std::unexpected<Error> io_error(std::string_view call, const std::string& path, std::string_view why) {
  return fail(ErrorCode::kIo, Effect::kUnknown, fmt::format("cannot {} {}: {}", call, path, why));
}

class Lock final : public txlog::DirectoryLock {};

}  // namespace

class DiskFile final : public txlog::File {
 public:
  DiskFile(Disk& disk, std::string path, Disk::InodePointer inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  Status write_at(std::uint64_t offset, txlog::Bytes bytes) override {
    auto done = disk_.write(*inode_, path_, offset, bytes);
    // Only of a batch: not of a new segment's zeros, and not of the first one in a segment, which got its name when that was
    // durable: rot there is no ambiguous end.
    const bool is_zeros = std::ranges::all_of(bytes.first(std::min<std::size_t>(bytes.size(), 8)),
                                              [](std::byte byte) { return byte == std::byte{}; });
    if (done && !is_zeros && offset >= txlog::kBlockBytes) {
      disk_.written_last_ = inode_;
      disk_.written_at_ = offset;
      disk_.written_bytes_ = offset == txlog::kBlockBytes ? 0 : bytes.size();
    }
    return done;
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> to) override {
    const auto& bytes = inode_->cache;
    if (offset >= bytes.size()) return std::size_t{0};
    const auto count = std::min<std::size_t>(to.size(), bytes.size() - offset);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, to.begin());
    return count;
  }
  Status allocate(std::uint64_t bytes) override {
    if (auto room = disk_.refuse_if_full(path_); !room) return room;
    disk_.resize(*inode_, std::max<std::uint64_t>(bytes, inode_->cache.size()));
    return {};
  }
  Status truncate(std::uint64_t bytes) override {
    disk_.resize(*inode_, bytes);
    return {};
  }
  Result<std::uint64_t> size() override { return inode_->cache.size(); }
  Status sync_data() override { return disk_.sync(*inode_, path_); }
  Status sync_all() override { return disk_.sync(*inode_, path_); }

 private:
  Disk& disk_;
  std::string path_;
  Disk::InodePointer inode_;
};

Disk::Disk(Node& node) : node_(node) {}

// ---- calls

void Disk::change() {
  ++changes_;
  if (die_at_ == 0 || changes_ < die_at_ || node_.is_dying()) return;
  die_at_ = 0;
  node_.world().count_fault("crash inside a change of the disk");
  tell("dies in a change of its disk");
  node_.die(die_as_);
}

Status Disk::refuse_if_full(const std::string& path) const {
  if (is_full_) return io_error("write", path, "no space left on the disk");
  return {};
}

void Disk::resize(Inode& inode, std::uint64_t bytes) {
  change();
  inode.cache.resize(bytes);
  const auto sectors = (bytes + kSectorBytes - 1) / kSectorBytes;
  inode.dirty.resize(sectors, true);
  if (inode.media.size() > bytes) inode.media.resize(bytes);
}

Status Disk::write(Inode& inode, const std::string& path, std::uint64_t offset, txlog::Bytes bytes) {
  change();
  if (offset + bytes.size() > inode.cache.size()) {
    if (auto room = refuse_if_full(path); !room) return room;
    inode.cache.resize(offset + bytes.size());
    inode.dirty.resize((inode.cache.size() + kSectorBytes - 1) / kSectorBytes, true);
  }
  std::ranges::copy(bytes, inode.cache.begin() + static_cast<std::ptrdiff_t>(offset));
  for (auto sector = offset / kSectorBytes; sector * kSectorBytes < offset + bytes.size(); ++sector)
    inode.dirty[sector] = true;
  return {};
}

Status Disk::sync(Inode& inode, const std::string& path) {
  if (dies_at_sync_) throw ProgramDied{};
  change();
  if (std::exchange(fail_next_sync_, false)) {
    // The pages are taken for clean, and the media never got them.
    std::fill(inode.dirty.begin(), inode.dirty.end(), false);
    node_.world().count_fault("failed sync");
    tell("fails to sync", path);
    return io_error("sync", path, "input/output error");
  }
  inode.media.resize(inode.cache.size());
  for (std::size_t sector = 0; sector < inode.dirty.size(); ++sector) {
    if (!inode.dirty[sector]) continue;
    const auto at = static_cast<std::ptrdiff_t>(sector * kSectorBytes);
    const auto count = std::min<std::size_t>(kSectorBytes, inode.cache.size() - sector * kSectorBytes);
    std::copy_n(inode.cache.begin() + at, count, inode.media.begin() + at);
    inode.dirty[sector] = false;
  }
  return {};
}

Result<std::unique_ptr<txlog::File>> Disk::open(const std::string& path, txlog::OpenMode mode) {
  const auto found = names_.find(path);
  InodePointer inode = found == names_.end() ? nullptr : found->second;
  if (mode == txlog::OpenMode::kCreate) {
    if (auto room = refuse_if_full(path); !room) return std::unexpected(room.error());
    change();
    inode = std::make_shared<Inode>();
    names_[path] = inode;
    histories_.push_back(names_);
  }
  if (inode == nullptr) return io_error("open", path, "no such file");
  return std::make_unique<DiskFile>(*this, path, std::move(inode));
}

Status Disk::rename(const std::string& from, const std::string& to) {
  change();
  const auto found = names_.find(from);
  if (found == names_.end()) return io_error("rename", from, "no such file");
  names_[to] = found->second;
  names_.erase(found);
  histories_.push_back(names_);
  return {};
}

Status Disk::remove(const std::string& path) {
  change();
  if (names_.erase(path) == 0) return io_error("remove", path, "no such file");
  histories_.push_back(names_);
  return {};
}

Result<std::vector<std::string>> Disk::list(const std::string& directory) {
  std::vector<std::string> found;
  const auto prefix = directory + "/";
  for (const auto& [path, inode] : names_)
    if (path.starts_with(prefix)) found.push_back(path.substr(prefix.size()));
  return found;
}

Status Disk::make_directory(const std::string&) {
  return {};
}

Status Disk::sync_directory(const std::string&) {
  if (dies_at_sync_) throw ProgramDied{};
  change();
  histories_.assign(1, names_);
  return {};
}

Result<std::unique_ptr<txlog::DirectoryLock>> Disk::lock(const std::string&) {
  return std::make_unique<Lock>();
}

// ---- the background's writes

std::uint64_t Disk::begin_write(UnderWay finish) {
  under_way_.emplace(++last_write_, std::move(finish));
  return last_write_;
}

Duration Disk::sync_time() {
  auto& world = node_.world();
  auto time = world.draw(Purpose::kDisk, Duration(40), Duration(3'000));
  if (world.chance(Purpose::kDisk, 50)) time += world.draw(Purpose::kDisk, Duration(5'000), Duration(60'000));
  if (world.now() < stalled_until_) time += stalled_until_ - world.now();
  return time;
}

// ---- faults

void Disk::tell(std::string_view what, const std::string& text) const {
  auto& world = node_.world();
  world.trace().event(world.now(), node_.name(), what, 0, [&] { return text; });
}

void Disk::fail_next_sync() {
  tell("will fail to sync", "once");
  fail_next_sync_ = true;
}

void Disk::stall_until(Duration until) {
  tell("has a stalled disk", fmt::format("until {:.3f}", static_cast<double>(until.count()) / 1e6));
  stalled_until_ = until;
}

void Disk::fill_up(bool is_full) {
  tell(is_full ? "has a full disk" : "has room on its disk again");
  is_full_ = is_full;
}

void Disk::die_at_change(std::uint64_t nth, CrashKind kind) {
  tell("will die in a change of its disk", fmt::format("{} changes from now", nth));
  die_at_ = changes_ + nth;
  die_as_ = kind;
}

void Disk::before_crash() {
  auto& random = node_.world().random(Purpose::kDisk);
  for (auto& [number, finish] : std::exchange(under_way_, {})) {
    const auto fate = static_cast<Fate>(random.below(3));
    dies_at_sync_ = fate == Fate::kWritten;
    constexpr std::array<std::string_view, 3> kFates{"never began", "was written, not synced",
                                                     "became durable"};
    tell("had a write under way:", std::string("it ") + std::string(kFates[static_cast<std::size_t>(fate)]));
    if (fate == Fate::kSynced) node_.world().count_rare("a batch was durable and its writer never heard so");
    try {
      finish(fate);
    } catch (const ProgramDied&) {
      node_.world().count_rare("a batch was written and not synced");
    }
    dies_at_sync_ = false;
  }
  die_at_ = 0;
  fail_next_sync_ = false;
}

void Disk::after_crash(CrashKind kind) {
  if (kind == CrashKind::kKilled) return;
  auto& random = node_.world().random(Purpose::kDisk);
  names_ = histories_[random.below(histories_.size())];
  histories_.assign(1, names_);
  for (auto& [path, inode] : names_)
    tear(*inode);
}

void Disk::tear(Inode& inode) {
  auto& random = node_.world().random(Purpose::kDisk);
  if (inode.media.size() < inode.cache.size()) inode.media.resize(inode.cache.size());
  std::size_t torn = 0;
  for (std::size_t sector = 0; sector < inode.dirty.size(); ++sector) {
    if (!inode.dirty[sector]) continue;
    ++torn;
    const auto at = sector * kSectorBytes;
    const auto count = std::min(kSectorBytes, inode.cache.size() - at);
    const auto fate = random.below(3);
    for (std::size_t i = at; i < at + count; ++i) {
      if (fate == 0) inode.media[i] = inode.cache[i];
      if (fate == 2) inode.media[i] = static_cast<std::byte>(random.below(256));
    }
    inode.dirty[sector] = false;
  }
  if (torn > 0) {
    node_.world().count_rare("a power cut met unsynced sectors");
    tell("may have lost sectors", fmt::format("{} were not synced", torn));
  }
  inode.cache = inode.media;
  inode.dirty.assign((inode.cache.size() + kSectorBytes - 1) / kSectorBytes, false);
}

bool Disk::flip_bit_of_last_write(std::string_view directory) {
  const auto log = std::string(directory) + "/";
  const bool is_named = std::ranges::any_of(names_, [&](const auto& each) {
    return written_last_ && each.second == written_last_ && each.first.starts_with(log);
  });
  if (!is_named || written_bytes_ == 0 || written_at_ + written_bytes_ > written_last_->cache.size())
    return false;
  auto& random = node_.world().random(Purpose::kDisk);
  // Not in the padding: that is not part of what was promised.
  const auto at = written_at_ + random.below(std::min<std::uint64_t>(written_bytes_, 256));
  const auto bit = static_cast<std::byte>(1U << random.below(8));
  tell("has a flipped bit", "in its last batch");
  written_last_->cache[at] ^= bit;
  if (at < written_last_->media.size()) written_last_->media[at] ^= bit;
  return true;
}

void Disk::heal() {
  die_at_ = 0;
  fail_next_sync_ = false;
  is_full_ = false;
  stalled_until_ = {};
}

void Disk::wipe() {
  clear();
  ++wiped_;
}

void Disk::clear() {
  names_.clear();
  histories_.assign(1, {});
  written_last_ = nullptr;
}

Disk::Image Disk::image() const {
  Image image;
  for (const auto& [path, inode] : names_)
    image[path] = inode->cache;
  return image;
}

void Disk::set_back(const Image& image) {
  clear();
  for (const auto& [path, bytes] : image) {
    const auto sectors = (bytes.size() + kSectorBytes - 1) / kSectorBytes;
    names_[path] = std::make_shared<Inode>(Inode{bytes, bytes, std::vector<bool>(sectors, false)});
  }
  histories_.assign(1, names_);
}

}  // namespace troth::sim
