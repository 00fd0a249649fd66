#include "txlog/runtime/log_opening.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "txlog/runtime/refusals.h"

namespace troth::txlog {
namespace {

// What a log is opened with if there is no room for a whole segment: enough to append what cleaning copies.
constexpr std::size_t kSmallSegmentBytes = 64 * kBlockBytes;

}  // namespace

Result<SegmentChain> LogOpening::link(const SegmentDirectory::Listing& listing) const {
  std::vector<SegmentHeader> headers;
  for (const auto number : listing.segments) {
    const auto block = directory_.read_first_block(number);
    if (!block) return std::unexpected(block.error());
    auto header = decode_segment_header(*block);
    if (!header) {
      const auto reason = header.error().newer_format ? RefusalReason::kNewerFormat : RefusalReason::kDamage;
      return std::unexpected(to_error({reason, number, 0, header.error().what}, directory_));
    }
    if (header->number != number) {
      return std::unexpected(
          to_error({RefusalReason::kDamage, number, 0,
                    fmt::format("its header says that it is segment {}", header->number.value)},
                   directory_));
    }
    headers.push_back(std::move(*header));
  }
  auto chain = link_segments(std::move(headers), options_.identity);
  if (!chain) return std::unexpected(to_error(chain.error(), directory_));
  return std::move(*chain);
}

Status LogOpening::take(const BatchView& batch, SegmentNumber reported_as) {
  auto told = batch;
  told.segment = reported_as;
  RecordCursor records(told);
  while (const auto record = records.next()) {
    ++opened_.records_replayed;
    if (!options_.replay) continue;
    if (auto done = options_.replay(*record); !done) return done;
  }
  return {};
}

Status LogOpening::scan(const SegmentChain& chain) {
  const auto sink = [this](const BatchView& batch) -> Status {
    if (infos_.empty() || infos_.back().number != batch.segment)
      infos_.push_back({batch.segment, batch.frame.first_sequence, 0});
    if (held_) {
      if (auto done = take(*held_, held_->segment); !done) return done;
    }
    held_bytes_.assign(batch.bytes.begin(), batch.bytes.end());
    held_ = batch;
    held_->bytes = held_bytes_;
    return {};
  };
  for (std::size_t i = 0; i < chain.live.size(); ++i) {
    const auto* successor = i + 1 < chain.live.size() ? &chain.live[i + 1] : nullptr;
    const auto bytes = directory_.read(chain.live[i].number, buffer_);
    if (!bytes) return std::unexpected(bytes.error());
    const auto more = scan_.feed(chain.live[i], successor, *bytes, sink);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  const auto verdict = scan_.finish(chain.live.front());
  if (const auto* refusal = std::get_if<Refusal>(&verdict))
    return std::unexpected(to_error(*refusal, directory_));
  if (const auto* cut = std::get_if<CutTail>(&verdict)) opened_.cut_tail = *cut;
  CHECK(held_);
  return take(*held_, new_number_);
}

// The new segment continues the one that holds the batch before the last; what comes after that is void.
void LogOpening::choose_predecessor(const SegmentChain& chain) {
  const auto& tail = scan_.tail();
  CHECK(tail);
  for (const auto& header : chain.live) {
    const bool holds_earlier_batches =
        header.number < tail->segment || (header.number == tail->segment && !tail->first_of_segment);
    const bool needed = header.number >= tail->frame.oldest_segment;
    if (holds_earlier_batches && needed) kept_.push_back(header);
  }
}

Result<PreparedSegment> LogOpening::make_segment(Random& random, Bytes& first_batch) {
  BatchFrame frame;
  RecordSequence unsettled;
  if (held_) {
    frame = held_->frame;
    unsettled = frame.unsettled_cut;
    RecordCursor records(*held_);
    while (const auto record = records.next())
      batch_.add(record->position.sequence, record->type, record->payload);
  } else {
    frame.first_sequence = {1};
  }
  if (opened_.cut_tail && unsettled.value == 0) unsettled = opened_.cut_tail->first_lost;
  frame.salt = next_salt(random);
  frame.oldest_segment = kept_.empty() ? new_number_ : kept_.front().number;
  frame.unsettled_cut = unsettled;

  SegmentHeader header;
  header.number = new_number_;
  header.salt = frame.salt;
  if (!kept_.empty()) {
    header.predecessor = kept_.back().number;
    header.predecessor_salt = kept_.back().salt;
  }
  header.file_bytes = std::max<std::uint64_t>(options_.segment_bytes, kBlockBytes + batch_.sealed_bytes());
  header.restates = frame.number;
  header.identity = options_.identity;
  first_batch = batch_.seal(frame);
  const auto sealed = decode_frame(first_batch, frame.salt);
  CHECK(sealed);
  restated_ = *sealed;
  auto file = directory_.make({.header = header, .first_batch = first_batch, .stop = {}});
  const auto small = round_up(2 * kBlockBytes + first_batch.size(), kSmallSegmentBytes);
  if (!file && small < header.file_bytes) {
    header.file_bytes = small;
    file = directory_.make({.header = header, .first_batch = first_batch, .stop = {}});
  }
  if (!file) return std::unexpected(std::move(file.error()));
  return PreparedSegment{header, std::move(*file)};
}

// A superseded segment will not be written again: the zeros behind its last batch are only space.
Status LogOpening::drop_zeros(SegmentNumber segment) const {
  std::vector<std::byte> buffer;
  const auto bytes = directory_.read(segment, buffer);
  if (!bytes) return std::unexpected(bytes.error());
  auto end = bytes->size() / kBlockBytes;
  while (end > 1 && all_zero(bytes->subspan((end - 1) * kBlockBytes, kBlockBytes)))
    --end;
  if (end == bytes->size() / kBlockBytes) return {};
  const auto file = directory_.files().open(directory_.path_of(segment), OpenMode::kReadWrite);
  if (!file) return std::unexpected(file.error());
  return (*file)->truncate(end * kBlockBytes);
}

// Unfinished files, and segments behind the log's end, which hold nothing but zeros: the space may be needed. One after
// the other, from the last: a gap before an empty segment would look like a segment that somebody lost.
Status LogOpening::remove_unused(SegmentDirectory::Listing& listing) const {
  for (const auto& path : listing.unfinished) {
    if (auto done = directory_.files().remove(path); !done) return done;
  }
  SegmentNumber last_used;
  if (scan_.tail()) last_used = scan_.tail()->segment;
  if (opened_.cut_tail) last_used = std::max(last_used, opened_.cut_tail->segment);
  while (!listing.segments.empty() && listing.segments.back() > last_used) {
    if (auto done = directory_.remove(listing.segments.back()); !done) return done;
    if (auto done = directory_.sync(); !done) return done;
    listing.segments.pop_back();
  }
  return {};
}

Status LogOpening::clean_up(const SegmentDirectory::Listing& listing) const {
  for (const auto number : listing.segments) {
    if (std::ranges::find(kept_, number, &SegmentHeader::number) != kept_.end()) continue;
    if (auto done = directory_.remove(number); !done) return done;
  }
  if (!kept_.empty()) {
    if (auto done = drop_zeros(kept_.back().number); !done) return done;
  }
  return directory_.sync();
}

Result<LogOpening::Opened> LogOpening::run(Random& random) {
  auto listing = directory_.list();
  if (!listing) return std::unexpected(listing.error());
  new_number_ = {listing->segments.empty() ? 1 : listing->segments.back().value + 1};
  opened_.created = listing->segments.empty();
  if (!opened_.created) {
    const auto chain = link(*listing);
    if (!chain) return std::unexpected(chain.error());
    if (auto done = scan(*chain); !done) return std::unexpected(std::move(done.error()));
    choose_predecessor(*chain);
  }
  if (auto done = remove_unused(*listing); !done) return std::unexpected(std::move(done.error()));
  Bytes first_batch;
  auto segment = make_segment(random, first_batch);
  if (!segment) return std::unexpected(std::move(segment.error()));
  if (auto done = clean_up(*listing); !done) return std::unexpected(std::move(done.error()));

  if (!opened_.cut_tail && restated_.unsettled_cut.value != 0) {
    opened_.cut_tail =
        CutTail{{}, 0, {}, restated_.unsettled_cut, "cut at an earlier start and not settled since"};
  }
  for (const auto& info : infos_) {
    const auto kept = std::ranges::find(kept_, info.number, &SegmentHeader::number);
    if (kept != kept_.end()) opened_.segments.push_back({info.number, info.first_sequence, kept->file_bytes});
  }
  opened_.segments.push_back({new_number_, restated_.first_sequence, segment->header.file_bytes});
  opened_.start = {.segment = std::move(*segment),
                   .offset = kBlockBytes + first_batch.size(),
                   .last = restated_,
                   .segment_bytes = options_.segment_bytes};
  return std::move(opened_);
}

}  // namespace troth::txlog
