// tests/unit/txlog/faulty_files.h
//
// A disk in memory that fails as disks do. It keeps the page cache and the media apart: what was written is
// read back at once, and is on the media only after a sync; names the same, after a sync of the directory that they are in. A
// directory is a name in its parent; without it all that is in it is gone.
//
// - A call can be made to fail; a failed write has written some part, a failed sync has dropped what it
// should have
//   written, and says "done" when asked again (as Linux does).
// - A power cut keeps of each unsynced sector the new bytes, the old ones, or garbage, and any of the
// unsynced names.
// - A killed process loses nothing but its locks.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "txlog/runtime/files.h"

namespace troth::txlog {

class FaultyFiles final : public Files {
 public:
  explicit FaultyFiles(std::uint64_t seed) : random_(seed) {}

  // The Nth call from now (1: the next) that touches the disk fails; with `for_ever` all after it do, too.
  void fail_call(std::uint64_t nth, bool for_ever);
  // The same of those calls whose path contains `part`.
  void fail_call_at(std::string part, std::uint64_t nth, bool for_ever);
  // Calls since construction, to know how many there are to fail.
  [[nodiscard]] std::uint64_t calls() const;
  // Those of them that changed something.
  [[nodiscard]] std::uint64_t changes() const;
  [[nodiscard]] bool has_failed() const;
  // Only syncs of file data fail, from now on.
  void fail_syncs(bool fail);
  // Syncs of file data wait, until released. The second waits until one of this file does; false if none comes
  // within 30 s.
  void hold_syncs(bool hold);
  [[nodiscard]] bool wait_for_held_sync(const std::string& path);
  // False if the name does not come within 30 s.
  [[nodiscard]] bool wait_for_name(const std::string& path);
  // More bytes of files than this are refused as a full disk.
  void set_capacity(std::uint64_t bytes);

  // From now on nothing reaches the disk; let the log go, then say what becomes of it.
  void stop();
  void resume_after_power_cut();
  void resume_after_kill();
  // A power cut before anything that was not synced had begun to reach the media.
  void resume_without_what_was_not_synced();

  // A file that was there before, durable.
  void put(const std::string& path, std::vector<std::byte> bytes);
  // Changes one byte, on the media and in the cache.
  void damage(const std::string& path, std::uint64_t offset);

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directory(const std::string& directory) override;
  Status sync_directory(const std::string& directory) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;
  bool is_locked(const std::string& path) override;

 private:
  friend class FaultyFile;
  friend class FaultyLock;

  struct Node {
    std::vector<std::byte> cache;
    std::vector<std::byte> media;
    std::set<std::size_t> dirty;  // sectors
  };
  using NodePtr = std::shared_ptr<Node>;
  // A change of names in one directory that is not durable yet; null: removed.
  struct NameChange {
    std::vector<std::pair<std::string, NodePtr>> entries;  // all of them or none
  };
  enum class DirectoryState : std::uint8_t { kMade, kDurable };

  // Counts the call; an error if it is to fail, or if the disk is stopped. The mutex is held.
  [[nodiscard]] Status enter(std::string_view call, const std::string& path);
  [[nodiscard]] std::uint64_t used_bytes() const;
  void change_names(NameChange change);
  static void apply(const NameChange& change, std::map<std::string, NodePtr>& names);
  // What is not durable stays or goes; without `some` all of it goes.
  void lose_names(bool some);
  void sync_node(Node& node, bool fails);

  mutable std::mutex mutex_;
  Random random_;
  std::map<std::string, NodePtr> names_;
  std::map<std::string, NodePtr> durable_names_;
  std::vector<NameChange> name_changes_;  // in their order
  std::map<std::string, DirectoryState> directories_;
  std::set<std::string> locks_;
  std::uint64_t calls_ = 0;
  std::uint64_t changing_calls_ = 0;
  std::uint64_t to_failure_ = 0;  // calls until one fails; zero: none will
  std::string failing_part_;
  bool fail_for_ever_ = false;
  bool has_failed_ = false;
  bool fail_syncs_ = false;
  bool stopped_ = false;
  bool hold_syncs_ = false;
  std::multiset<std::string> held_syncs_;
  std::condition_variable changed_;
  std::uint64_t capacity_ = UINT64_MAX;
};

}  // namespace troth::txlog
