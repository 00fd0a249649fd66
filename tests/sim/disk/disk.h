// tests/sim/disk/disk.h
//
// One machine's disk. The page cache and the media are kept apart: what was written is read back at once, and is on the
// media only after a sync; names the same, after a sync of their directory.
//
// - A power cut keeps of each unsynced sector the new bytes, the old ones, or garbage; of unsynced names, in their order,
//   any number.
// - A failed sync has dropped what it should have written, and says "done" when asked again, as Linux does.
// - A killed process loses nothing but its locks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/core/node.h"
#include "txlog/runtime/files.h"

namespace troth::sim {

class Disk final : public txlog::Files {
 public:
  explicit Disk(Node& node);

  // ---- Faults
  // The n-th call from now that changes something: the program dies there.
  void die_at_change(std::uint64_t nth, CrashKind kind);
  // The next sync of data fails.
  void fail_next_sync();
  // Syncs take so much longer until then, in true time.
  void stall_until(Duration until);
  void fill_up(bool is_full);
  // Turns one bit of the newest batch, if it was written to the log in `directory`; false: it was not.
  bool flip_bit_of_last_write(std::string_view directory);
  // The newest write until now is none of those.
  void keep_last_write() { written_bytes_ = 0; }
  // No fault is left waiting.
  void heal();
  // Nothing is left: another disk.
  void wipe();
  // How often that happened.
  [[nodiscard]] std::uint32_t wiped() const { return wiped_; }
  [[nodiscard]] bool is_blank() const { return names_.empty(); }
  // The disk of an earlier moment.
  using Image = std::map<std::string, std::vector<std::byte>>;
  [[nodiscard]] Image image() const;
  void set_back(const Image& image);

  // ---- For whoever writes in the background when its machine stops.
  // `fate`: what becomes of a write that was under way.
  enum class Fate : std::uint8_t { kNotBegun, kWritten, kSynced };
  using UnderWay = std::function<void(Fate)>;
  std::uint64_t begin_write(UnderWay finish);
  void end_write(std::uint64_t number) { under_way_.erase(number); }
  // How long the next write and sync take.
  [[nodiscard]] Duration sync_time();

  // ---- What the log asks.
  Result<std::unique_ptr<txlog::File>> open(const std::string& path, txlog::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directory(const std::string& directory) override;
  Status sync_directory(const std::string& directory) override;
  Result<std::unique_ptr<txlog::DirectoryLock>> lock(const std::string& path) override;
  bool is_locked(const std::string&) override { return false; }

  void before_crash();
  void after_crash(CrashKind kind);

 private:
  friend class DiskFile;
  void tell(std::string_view what, const std::string& text = {}) const;
  static constexpr std::size_t kSectorBytes = 512;

  struct Inode {
    std::vector<std::byte> cache;
    std::vector<std::byte> media;
    std::vector<bool> dirty;  // sectors
  };
  using InodePointer = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePointer>;

  // Counts a call that changes something.
  void change();
  [[nodiscard]] Status refuse_if_full(const std::string& path) const;
  Status write(Inode& inode, const std::string& path, std::uint64_t offset, txlog::Bytes bytes);
  void resize(Inode& inode, std::uint64_t bytes);
  Status sync(Inode& inode, const std::string& path);
  void tear(Inode& inode);
  void clear();

  Node& node_;
  Names names_;
  // What a power cut leaves: the names as of the last sync of the directory, then each change since then.
  std::vector<Names> histories_{1};
  std::uint64_t changes_ = 0;
  std::uint64_t die_at_ = 0;
  CrashKind die_as_ = CrashKind::kKilled;
  bool fail_next_sync_ = false;
  bool is_full_ = false;
  bool dies_at_sync_ = false;  // the write of a machine that stops gets that far
  Duration stalled_until_{};
  std::map<std::uint64_t, UnderWay> under_way_;
  std::uint32_t wiped_ = 0;
  std::uint64_t last_write_ = 0;
  InodePointer written_last_;
  std::uint64_t written_at_ = 0;
  std::uint64_t written_bytes_ = 0;
};

}  // namespace troth::sim
