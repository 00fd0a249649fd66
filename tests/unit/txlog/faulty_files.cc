#include "tests/unit/txlog/faulty_files.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::txlog {
namespace {

constexpr std::size_t kSector = 512;

std::unexpected<Error> io_error(std::string_view call, const std::string& path, std::string_view reason) {
  return fail(ErrorCode::kIo, Effect::kUnknown, fmt::format("cannot {} {}: {}", call, path, reason));
}

}  // namespace

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFiles& disk, FaultyFiles::NodePtr node, std::string path)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)) {}

  Status write_at(std::uint64_t offset, Bytes bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    auto entered = disk_.enter("write", path_);
    if (!entered && disk_.stopped_) return entered;
    // A failed write has written some first part of it.
    if (!entered) bytes = bytes.first(disk_.random_.below(bytes.size() + 1));
    if (node_->cache.size() < offset + bytes.size()) node_->cache.resize(offset + bytes.size());
    if (!bytes.empty()) {
      std::memcpy(node_->cache.data() + offset, bytes.data(), bytes.size());
      for (auto sector = offset / kSector; sector <= (offset + bytes.size() - 1) / kSector; ++sector)
        node_->dirty.insert(sector);
    }
    return entered;
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> to) override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto entered = disk_.enter("read", path_); !entered) return std::unexpected(entered.error());
    const auto& bytes = node_->cache;
    if (offset >= bytes.size()) return 0;
    const auto length = std::min<std::size_t>(to.size(), bytes.size() - offset);
    std::memcpy(to.data(), bytes.data() + offset, length);
    return length;
  }

  Status allocate(std::uint64_t bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto entered = disk_.enter("reserve space for", path_); !entered) return entered;
    if (disk_.used_bytes() - node_->cache.size() + bytes > disk_.capacity_)
      return io_error("reserve space for", path_, "No space left on device");
    node_->cache.resize(std::max<std::size_t>(node_->cache.size(), bytes));
    return {};
  }

  Status truncate(std::uint64_t bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto entered = disk_.enter("set the length of", path_); !entered) return entered;
    node_->cache.resize(bytes);
    return {};
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto entered = disk_.enter("look at", path_); !entered) return std::unexpected(entered.error());
    return node_->cache.size();
  }

  Status sync_data() override { return sync(); }
  Status sync_all() override { return sync(); }

 private:
  Status sync() {
    std::unique_lock lock(disk_.mutex_);
    const auto held = disk_.held_syncs_.insert(path_);
    disk_.changed_.notify_all();
    disk_.changed_.wait(lock, [this] { return !disk_.hold_syncs_; });
    disk_.held_syncs_.erase(held);
    auto entered = disk_.enter("sync", path_);
    if (!entered && disk_.stopped_) return entered;
    if (entered && disk_.fail_syncs_) entered = io_error("sync", path_, "Input/output error");
    disk_.sync_node(*node_, !entered);
    return entered;
  }

  FaultyFiles& disk_;
  FaultyFiles::NodePtr node_;
  std::string path_;
};

class FaultyLock final : public DirectoryLock {
 public:
  FaultyLock(FaultyFiles& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~FaultyLock() override {
    const std::lock_guard lock(disk_.mutex_);
    disk_.locks_.erase(path_);
  }

 private:
  FaultyFiles& disk_;
  std::string path_;
};

void FaultyFiles::fail_call(std::uint64_t nth, bool for_ever) {
  fail_call_at({}, nth, for_ever);
}

void FaultyFiles::fail_call_at(std::string part, std::uint64_t nth, bool for_ever) {
  const std::lock_guard lock(mutex_);
  failing_part_ = std::move(part);
  to_failure_ = nth;
  fail_for_ever_ = for_ever;
}

std::uint64_t FaultyFiles::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::uint64_t FaultyFiles::changes() const {
  const std::lock_guard lock(mutex_);
  return changing_calls_;
}

bool FaultyFiles::has_failed() const {
  const std::lock_guard lock(mutex_);
  return has_failed_;
}

void FaultyFiles::fail_syncs(bool fail) {
  const std::lock_guard lock(mutex_);
  fail_syncs_ = fail;
}

void FaultyFiles::hold_syncs(bool hold) {
  const std::lock_guard lock(mutex_);
  hold_syncs_ = hold;
  changed_.notify_all();
}

bool FaultyFiles::wait_for_held_sync(const std::string& path) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30),
                           [&] { return hold_syncs_ && held_syncs_.contains(path); });
}

bool FaultyFiles::wait_for_name(const std::string& path) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return names_.contains(path); });
}

void FaultyFiles::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void FaultyFiles::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

void FaultyFiles::resume_after_kill() {
  const std::lock_guard lock(mutex_);
  CHECK(locks_.empty(), "let the log go first");
  stopped_ = false;
  to_failure_ = 0;
  has_failed_ = false;
  fail_syncs_ = false;
}

void FaultyFiles::resume_after_power_cut() {
  resume_after_kill();
  const std::lock_guard lock(mutex_);
  lose_names(true);
  for (auto& [name, node] : names_) {
    // The length is metadata of its own: the new one or the old one.
    if (node->cache.size() != node->media.size() && random_.one_in(2)) node->media.resize(node->cache.size());
    node->cache.resize(node->media.size());
    for (const auto sector : node->dirty) {
      const auto begin = sector * kSector;
      if (begin >= node->media.size()) continue;
      const auto length = std::min(kSector, node->media.size() - begin);
      const auto fate = random_.below(3);
      if (fate == 1) std::memcpy(node->media.data() + begin, node->cache.data() + begin, length);
      if (fate == 2) {
        for (std::size_t i = begin; i < begin + length; ++i)
          node->media[i] = static_cast<std::byte>(random_.next());
      }
    }
    node->dirty.clear();
    node->cache = node->media;
  }
}

void FaultyFiles::resume_without_what_was_not_synced() {
  resume_after_kill();
  const std::lock_guard lock(mutex_);
  lose_names(false);
  for (auto& [name, node] : names_) {
    node->cache = node->media;
    node->dirty.clear();
  }
}

void FaultyFiles::put(const std::string& path, std::vector<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  auto node = std::make_shared<Node>();
  node->media = bytes;
  node->cache = std::move(bytes);
  names_[path] = node;
  durable_names_[path] = std::move(node);
}

void FaultyFiles::damage(const std::string& path, std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  auto& node = *names_.at(path);
  node.cache.at(offset) ^= std::byte{0x40};
  node.media.at(offset) ^= std::byte{0x40};
}

Status FaultyFiles::enter(std::string_view call, const std::string& path) {
  if (stopped_) return io_error(call, path, "the machine is off");
  ++calls_;
  const bool reads = call == "read" || call == "look at" || call == "list" || call == "open";
  if (!reads) ++changing_calls_;
  if (to_failure_ == 0 || !path.contains(failing_part_)) return {};
  if (to_failure_ > 1) {
    --to_failure_;
    return {};
  }
  if (!fail_for_ever_) to_failure_ = 0;
  has_failed_ = true;
  return io_error(call, path, "Input/output error");
}

std::uint64_t FaultyFiles::used_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, node] : names_)
    sum += node->cache.size();
  return sum;
}

void FaultyFiles::sync_node(Node& node, bool fails) {
  if (fails) {
    // Some sectors got there, the others are forgotten: the cache takes them for clean.
    for (const auto sector : node.dirty) {
      const auto begin = sector * kSector;
      if (random_.one_in(2) || begin + kSector > std::min(node.cache.size(), node.media.size())) continue;
      std::memcpy(node.media.data() + begin, node.cache.data() + begin, kSector);
    }
  } else {
    node.media.resize(node.cache.size());
    for (const auto sector : node.dirty) {
      const auto begin = sector * kSector;
      if (begin >= node.cache.size()) continue;
      std::memcpy(node.media.data() + begin, node.cache.data() + begin,
                  std::min(kSector, node.cache.size() - begin));
    }
  }
  node.dirty.clear();
}

void FaultyFiles::apply(const NameChange& change, std::map<std::string, NodePtr>& names) {
  for (const auto& [name, node] : change.entries) {
    if (node) {
      names[name] = node;
    } else {
      names.erase(name);
    }
  }
}

void FaultyFiles::lose_names(bool some) {
  for (const auto& change : name_changes_)
    if (some && random_.one_in(2)) apply(change, durable_names_);
  name_changes_.clear();
  for (auto each = directories_.begin(); each != directories_.end();) {
    const auto& [directory, state] = *each;
    if (state == DirectoryState::kDurable || (some && random_.one_in(2))) {
      ++each;
      continue;
    }
    std::erase_if(durable_names_,
                  [&](const auto& named) { return named.first.starts_with(directory + "/"); });
    each = directories_.erase(each);
  }
  names_ = durable_names_;
}

void FaultyFiles::change_names(NameChange change) {
  apply(change, names_);
  name_changes_.push_back(std::move(change));
  changed_.notify_all();
}

Result<std::unique_ptr<File>> FaultyFiles::open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("open", path); !entered) return std::unexpected(entered.error());
  if (mode == OpenMode::kCreate) change_names({{{path, std::make_shared<Node>()}}});
  const auto found = names_.find(path);
  if (found == names_.end()) return io_error("open", path, "No such file or directory");
  return std::make_unique<FaultyFile>(*this, found->second, path);
}

Status FaultyFiles::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("rename", from); !entered) return entered;
  const auto found = names_.find(from);
  if (found == names_.end()) return io_error("rename", from, "No such file or directory");
  change_names({{{to, found->second}, {from, nullptr}}});
  return {};
}

Status FaultyFiles::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("remove", path); !entered) return entered;
  if (!names_.contains(path)) return io_error("remove", path, "No such file or directory");
  change_names({{{path, nullptr}}});
  return {};
}

Result<std::vector<std::string>> FaultyFiles::list(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("list", directory); !entered) return std::unexpected(entered.error());
  std::vector<std::string> result;
  for (const auto& [name, node] : names_) {
    const auto inside = name.starts_with(directory + "/") ? name.substr(directory.size() + 1) : "";
    if (!inside.empty() && !inside.contains('/')) result.push_back(inside);
  }
  return result;
}

Status FaultyFiles::make_directory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  auto entered = enter("make the directory", directory);
  if (!entered && stopped_) return entered;
  // A failed call may have made it.
  const auto known = directories_.contains(directory);
  if (entered)
    directories_[directory] = DirectoryState::kDurable;
  else if (!known && random_.one_in(2))
    directories_[directory] = DirectoryState::kMade;
  return entered;
}

Status FaultyFiles::sync_directory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("sync", directory); !entered) return entered;
  const auto is_in = [&](const std::string& path) {
    return path.starts_with(directory + "/") && path.find('/', directory.size() + 1) == std::string::npos;
  };
  std::erase_if(name_changes_, [&](const NameChange& change) {
    if (!is_in(change.entries.front().first)) return false;
    apply(change, durable_names_);
    return true;
  });
  for (auto& [made, state] : directories_)
    if (is_in(made)) state = DirectoryState::kDurable;
  return {};
}

Result<std::unique_ptr<DirectoryLock>> FaultyFiles::lock(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (auto entered = enter("lock", path); !entered) return std::unexpected(entered.error());
  if (!locks_.insert(path).second)
    return fail(ErrorCode::kNotOwner, Effect::kNone, fmt::format("{} is in use", path));
  return std::make_unique<FaultyLock>(*this, path);
}

bool FaultyFiles::is_locked(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return locks_.contains(path);
}

}  // namespace troth::txlog
