#include "txlog/runtime/inspect.h"

#include <algorithm>

#include <fmt/format.h>

#include "txlog/chain.h"
#include "txlog/crc32c.h"
#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {
namespace {

// A live owner's half-written batch, or a segment deleted between two calls, looks whole when read again.
constexpr int kReadings = 5;

struct Headers {
  std::vector<SegmentHeader> valid;
  std::vector<SegmentLine> unreadable;
  std::optional<Refusal> refusal;
};

// True for a file that its live owner has deleted since the directory was listed.
bool is_gone(const SegmentDirectory& directory, SegmentNumber segment) {
  const auto listing = directory.list();
  return listing && std::ranges::find(listing->segments, segment) == listing->segments.end();
}

Result<Headers> read_headers(const SegmentDirectory& directory, const SegmentDirectory::Listing& listing) {
  Headers headers;
  for (const auto number : listing.segments) {
    const auto block = directory.read_first_block(number);
    if (!block) {
      if (is_gone(directory, number)) continue;
      return std::unexpected(block.error());
    }
    auto header = decode_segment_header(*block);
    if (header && header->number == number) {
      headers.valid.push_back(std::move(*header));
      continue;
    }
    const bool newer = !header && header.error().newer_format;
    const auto what = header ? fmt::format("its header says that it is segment {}", header->number.value)
                             : header.error().what;
    headers.unreadable.push_back(
        {number, directory.path_of(number), SegmentLine::State::kUnreadable, std::nullopt, what});
    if (!headers.refusal) {
      const auto reason = newer ? RefusalReason::kNewerFormat : RefusalReason::kDamage;
      headers.refusal = Refusal{reason, number, 0, what};
    }
  }
  return headers;
}

Result<InspectReport> verify_once(const SegmentDirectory& directory) {
  InspectReport report;
  const auto listing = directory.list();
  if (!listing) return std::unexpected(listing.error());
  if (listing->segments.empty()) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} holds no log: give the directory with the .txlog files", directory.path()));
  }
  const auto headers = read_headers(directory, *listing);
  if (!headers) return std::unexpected(headers.error());
  report.segments = listing->segments.size();
  report.oldest_segment = listing->segments.front();
  if (!headers->valid.empty()) report.identity = headers->valid.front().identity;
  if (headers->refusal || headers->valid.empty()) {
    report.verdict =
        headers->refusal.value_or(Refusal{RefusalReason::kMissingSegment, report.oldest_segment, 0,
                                          "every segment was deleted while it was looked at"});
    return report;
  }
  const auto chain = link_segments(headers->valid, std::nullopt);
  if (!chain) {
    report.verdict = chain.error();
    return report;
  }
  LogScan scan;
  const auto count = [&report](const BatchView& batch) -> Status {
    ++report.batches;
    RecordCursor records(batch);
    while (const auto record = records.next()) {
      ++report.records;
      report.payload_bytes += record->payload.size();
    }
    return {};
  };
  std::vector<std::byte> buffer;
  for (std::size_t i = 0; i < chain->live.size(); ++i) {
    const auto* successor = i + 1 < chain->live.size() ? &chain->live[i + 1] : nullptr;
    const auto bytes = directory.read(chain->live[i].number, buffer);
    if (!bytes) return std::unexpected(bytes.error());
    const auto more = scan.feed(chain->live[i], successor, *bytes, count);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  report.segments = chain->live.size();
  report.oldest_segment = chain->live.front().number;
  report.verdict = scan.finish(chain->live.front());
  if (scan.tail()) {
    report.next_sequence = scan.tail()->frame.next_sequence();
    report.unsettled_cut = scan.tail()->frame.unsettled_cut;
  }
  return report;
}

// The records of a batch whose checksum does not hold, as far as one leads to the next.
void dump_damaged_records(SegmentNumber segment, std::uint64_t offset, Bytes batch, const DumpSink& sink) {
  std::size_t at = kFrameBytes;
  while (const auto header = decode_record_header(batch.subspan(at))) {
    const auto whole = record_bytes(header->payload_bytes);
    if (whole > batch.size() - at) return;
    const auto payload = batch.subspan(at + kRecordHeaderBytes, header->payload_bytes);
    sink(RecordLine{segment, offset + at, header->sequence, header->type, payload,
                    crc32c(payload) == header->payload_crc});
    at += whole;
  }
}

void dump_batches(const SegmentHeader& segment, const SegmentHeader* successor, Bytes bytes,
                  const DumpSink& sink) {
  std::uint64_t offset = kBlockBytes;
  bool in_damage = false;
  while (offset < bytes.size()) {
    const auto rest = bytes.subspan(offset);
    const auto check = check_batch(bytes, offset, segment.salt);
    if (!check.problem.empty()) {
      if (all_zero(rest)) return;
      if (!in_damage || check.frame) sink(DamageLine{segment.number, offset, std::string(check.problem)});
      if (check.frame) {
        const auto length = std::min<std::size_t>(check.frame->bytes, rest.size());
        dump_damaged_records(segment.number, offset, rest.first(length), sink);
      } else if (!in_damage && rest.size() >= kFrameBytes) {
        dump_damaged_records(segment.number, offset, rest, sink);
      }
      // The next batch, if there is one, begins on one of the blocks that follow.
      in_damage = true;
      offset += kBlockBytes;
      continue;
    }
    in_damage = false;
    const bool superseded = successor && successor->restates && check.frame->number >= *successor->restates;
    sink(BatchLine{segment.number, offset, *check.frame, superseded});
    const BatchView batch{segment.number, offset, *check.frame, rest.first(check.frame->bytes)};
    RecordCursor records(batch);
    while (const auto record = records.next())
      sink(RecordLine{segment.number, records.offset(), record->position.sequence, record->type,
                      record->payload, true});
    offset += check.frame->bytes;
  }
}

SegmentLine::State state_of(SegmentNumber number, const std::expected<SegmentChain, Refusal>& chain) {
  if (!chain) return SegmentLine::State::kUnconnected;
  if (std::ranges::find(chain->superseded, number) != chain->superseded.end())
    return SegmentLine::State::kSuperseded;
  if (std::ranges::find(chain->left_behind, number) != chain->left_behind.end())
    return SegmentLine::State::kLeftBehind;
  return SegmentLine::State::kLive;
}

const SegmentHeader* successor_of(SegmentNumber number, const std::expected<SegmentChain, Refusal>& chain) {
  if (!chain) return nullptr;
  const auto successor = std::ranges::find(chain->live, number, &SegmentHeader::predecessor);
  return successor == chain->live.end() ? nullptr : &*successor;
}

Status dump_segments(const SegmentDirectory& directory, const DumpSink& sink) {
  const auto listing = directory.list();
  if (!listing) return std::unexpected(listing.error());
  const auto headers = read_headers(directory, *listing);
  if (!headers) return std::unexpected(headers.error());
  const auto chain = link_segments(headers->valid, std::nullopt);
  std::vector<std::byte> buffer;
  for (const auto number : listing->segments) {
    const auto unreadable = std::ranges::find(headers->unreadable, number, &SegmentLine::number);
    if (unreadable != headers->unreadable.end()) {
      sink(*unreadable);
      continue;
    }
    const auto found = std::ranges::find(headers->valid, number, &SegmentHeader::number);
    if (found == headers->valid.end()) continue;
    const auto& header = *found;
    const auto bytes = directory.read(number, buffer);
    if (!bytes) {
      if (is_gone(directory, number)) continue;
      return std::unexpected(bytes.error());
    }
    sink(SegmentLine{number, directory.path_of(number), state_of(number, chain), header, {}});
    dump_batches(header, successor_of(number, chain), *bytes, sink);
  }
  return {};
}

}  // namespace

std::string_view name_of(SegmentLine::State state) {
  switch (state) {
    case SegmentLine::State::kLive: return "live";
    case SegmentLine::State::kSuperseded: return "superseded";
    case SegmentLine::State::kLeftBehind: return "left_behind";
    case SegmentLine::State::kUnconnected: return "unconnected";
    case SegmentLine::State::kUnreadable: return "unreadable";
  }
  return "invalid";
}

Result<InspectReport> verify(const std::string& path, Files* files) {
  const SegmentDirectory directory(files ? *files : posix_files(), path);
  Result<InspectReport> report;
  for (int reading = 0; reading < kReadings; ++reading) {
    const bool live = directory.files().is_locked(directory.lock_path());
    report = verify_once(directory);
    if (report) report->live = live;
    if (!live || (report && std::holds_alternative<CleanEnd>(report->verdict))) break;
  }
  if (!report) report.error().effect = Effect::kNone;
  return report;
}

Result<InspectReport> dump(const std::string& path, const DumpSink& sink, Files* files) {
  auto report = verify(path, files);
  if (!report) return report;
  const SegmentDirectory directory(files ? *files : posix_files(), path);
  if (auto done = dump_segments(directory, sink); !done) {
    done.error().effect = Effect::kNone;
    return std::unexpected(std::move(done.error()));
  }
  return report;
}

}  // namespace troth::txlog
