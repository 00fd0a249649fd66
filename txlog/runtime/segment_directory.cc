#include "txlog/runtime/segment_directory.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace troth::txlog {
namespace {

constexpr std::string_view kSuffix = ".txlog";
constexpr std::string_view kUnfinishedSuffix = ".txlog.new";
constexpr std::size_t kZeroBytes = std::size_t{256} << 10;
alignas(kBlockBytes) constexpr std::array<std::byte, kZeroBytes> kZeros{};

}  // namespace

std::string segment_file_name(SegmentNumber segment) {
  return fmt::format("{:012}{}", segment.value, kSuffix);
}

std::optional<SegmentNumber> parse_segment_file_name(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const auto digits = name.substr(0, name.size() - kSuffix.size());
  SegmentNumber segment;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), segment.value);
  if (problem != std::errc{} || segment_file_name(segment) != name) return std::nullopt;
  return segment;
}

std::string SegmentDirectory::path_of(SegmentNumber segment) const {
  return path_ + "/" + segment_file_name(segment);
}

Result<SegmentDirectory::Listing> SegmentDirectory::list() const {
  const auto names = files_.list(path_);
  if (!names) return std::unexpected(names.error());
  Listing listing;
  for (const auto& name : *names) {
    if (const auto segment = parse_segment_file_name(name)) listing.segments.push_back(*segment);
    if (name.ends_with(kUnfinishedSuffix)) listing.unfinished.push_back(path_ + "/" + name);
  }
  std::ranges::sort(listing.segments);
  return listing;
}

Result<std::vector<std::byte>> SegmentDirectory::read_first_block(SegmentNumber segment) const {
  const auto file = files_.open(path_of(segment), OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  std::vector<std::byte> block(kBlockBytes);
  const auto got = (*file)->read_at(0, block);
  if (!got) return std::unexpected(got.error());
  block.resize(*got);
  return block;
}

Result<Bytes> SegmentDirectory::read(SegmentNumber segment, std::vector<std::byte>& buffer) const {
  const auto file = files_.open(path_of(segment), OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  // One byte more than the limit is enough to see that the length is wrong.
  const auto wanted = std::min<std::uint64_t>(*size, kMaxSegmentBytes + 1);
  if (buffer.size() < wanted) buffer.resize(wanted);
  const auto got = (*file)->read_at(0, std::span(buffer).first(wanted));
  if (!got) return std::unexpected(got.error());
  return Bytes(buffer).first(*got);
}

Status SegmentDirectory::fill(File& file, const Making& making) const {
  if (auto done = file.allocate(making.header.file_bytes); !done) return done;
  for (std::uint64_t at = 0; at < making.header.file_bytes; at += kZeroBytes) {
    if (making.stop.stop_requested())
      return fail(ErrorCode::kUnavailable, Effect::kNone, "the log is being closed");
    const auto piece = std::min<std::uint64_t>(kZeroBytes, making.header.file_bytes - at);
    if (auto done = file.write_at(at, Bytes(kZeros).first(piece)); !done) return done;
    if (making.pace == Pace::kGently) {
      if (auto done = file.sync_data(); !done) return done;
    }
  }
  std::array<std::byte, kBlockBytes> block;
  encode(making.header, block);
  if (auto done = file.write_at(0, block); !done) return done;
  if (!making.first_batch.empty()) {
    if (auto done = file.write_at(kBlockBytes, making.first_batch); !done) return done;
  }
  return file.sync_all();
}

Result<std::unique_ptr<File>> SegmentDirectory::make(const Making& making) const {
  const auto path = path_of(making.header.number);
  const auto unfinished = path + ".new";
  auto file = files_.open(unfinished, OpenMode::kCreate);
  if (!file) return file;
  auto done = fill(**file, making);
  if (done) done = files_.rename(unfinished, path);
  if (!done) {
    // Gives the space back. Failing at that changes nothing: the next opening removes it.
    std::ignore = files_.remove(unfinished);
    return std::unexpected(std::move(done.error()));
  }
  if (auto synced = sync(); !synced) return std::unexpected(std::move(synced.error()));
  // Opened anew, so that errors from here on tell the name that it has now.
  return files_.open(path, OpenMode::kReadWrite);
}

}  // namespace troth::txlog
