// txlog/runtime/files.h
//
// Everything the log asks of a disk, and nothing else, so that a test can put a faulty disk under it.
// Errors name the call, the file, the system's reason and the remedy; their code is kIo.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "txlog/bytes.h"

namespace troth::txlog {

class File {
 public:
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // All of `bytes`, or an error after any part of it.
  [[nodiscard]] virtual Status write_at(std::uint64_t offset, Bytes bytes) = 0;
  // As many bytes as there are, up to the length of `to`; fewer only at the file's end.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> to) = 0;
  // Reserves space, and makes the file that long. The space still has to be written once before a sync of it
  // is free of metadata.
  [[nodiscard]] virtual Status allocate(std::uint64_t bytes) = 0;
  [[nodiscard]] virtual Status truncate(std::uint64_t bytes) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;
  // Data, and what of the metadata is needed to read it again.
  [[nodiscard]] virtual Status sync_data() = 0;
  [[nodiscard]] virtual Status sync_all() = 0;

 protected:
  File() = default;
};

// Held until destroyed.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 protected:
  DirectoryLock() = default;
};

enum class OpenMode : std::uint8_t {
  kRead,
  kReadWrite,
  kCreate,  // read and write; an existing file is emptied
};

// Paths are whole paths. Safe to use from several threads.
class Files {
 public:
  virtual ~Files() = default;

  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  [[nodiscard]] virtual Status rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Status remove(const std::string& path) = 0;
  // Names inside the directory, sorted, without "." and "..".
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  // Makes the directory, unless it is there; its name is durable then in any case.
  [[nodiscard]] virtual Status make_directory(const std::string& directory) = 0;
  // Created, renamed and removed names of this directory become durable, and those of no other.
  [[nodiscard]] virtual Status sync_directory(const std::string& directory) = 0;

  // Takes the lock file, or refuses with kNotOwner naming the process that has it.
  [[nodiscard]] virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;
  // Looks, without taking it, whether somebody holds the lock.
  [[nodiscard]] virtual bool is_locked(const std::string& path) = 0;

 protected:
  Files() = default;
};

// The operating system's files.
[[nodiscard]] Files& posix_files();

}  // namespace troth::txlog
