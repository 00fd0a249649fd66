// txlog/runtime/segment_directory.h
//
// The files of one log: 000000000001.txlog, ... and LOCK. A segment is built under a name that ends in .new
// and gets its own name only when every byte of it is durable, so that a named segment is always whole.
#pragma once

#include <stop_token>

#include "txlog/format.h"
#include "txlog/runtime/files.h"

namespace troth::txlog {

class SegmentDirectory {
 public:
  SegmentDirectory(Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(SegmentNumber segment) const;
  [[nodiscard]] std::string lock_path() const { return path_ + "/LOCK"; }
  [[nodiscard]] Files& files() const { return files_; }

  struct Listing {
    std::vector<SegmentNumber> segments;  // rising
    std::vector<std::string> unfinished;  // paths of files that never got their name
  };
  [[nodiscard]] Result<Listing> list() const;

  // The first block, or less if the file is shorter.
  [[nodiscard]] Result<std::vector<std::byte>> read_first_block(SegmentNumber segment) const;
  // The whole file into `buffer`, which is grown but never shrunk; the view is what the file held.
  [[nodiscard]] Result<Bytes> read(SegmentNumber segment, std::vector<std::byte>& buffer) const;

  // How a new file's zeros are written.
  enum class Pace : std::uint8_t {
    kAtOnce,  // one sync at the end: somebody waits for it
    kGently,  // a sync after each small piece, so that the log's own syncs never queue behind a big one
  };
  struct Making {
    SegmentHeader header;
    Bytes first_batch;  // may be empty
    Pace pace = Pace::kAtOnce;
    std::stop_token stop;
  };
  // A new segment, written once from end to end (so that a later sync of data changes no metadata), durable
  // under its own name. The file is ready for the batch that follows.
  [[nodiscard]] Result<std::unique_ptr<File>> make(const Making& making) const;

  [[nodiscard]] Status remove(SegmentNumber segment) const { return files_.remove(path_of(segment)); }
  [[nodiscard]] Status sync() const { return files_.sync_directory(path_); }

 private:
  [[nodiscard]] Status fill(File& file, const Making& making) const;

  Files& files_;
  std::string path_;
};

// "000000000042.txlog" and back; nothing for any other name.
[[nodiscard]] std::string segment_file_name(SegmentNumber segment);
[[nodiscard]] std::optional<SegmentNumber> parse_segment_file_name(std::string_view name);

}  // namespace troth::txlog
