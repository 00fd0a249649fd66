#include "txlog/scan.h"

#include <fmt/format.h>

#include "base/check.h"
#include "txlog/crc32c.h"

namespace troth::txlog {
namespace {

// The records of a batch whose body checksum holds: they must fill it exactly, or its writer was defective.
std::string_view records_problem(Bytes batch, const BatchFrame& frame) {
  std::size_t at = kFrameBytes;
  for (std::uint32_t i = 0; i < frame.records; ++i) {
    const auto header = decode_record_header(batch.subspan(at));
    if (!header) return "a record's header is damaged";
    const auto whole = record_bytes(header->payload_bytes);
    if (whole > batch.size() - at) return "a record reaches beyond its batch";
    if (header->sequence.value != frame.first_sequence.value + i)
      return "a record's sequence is out of order";
    const auto payload = batch.subspan(at + kRecordHeaderBytes, header->payload_bytes);
    if (crc32c(payload) != header->payload_crc) return "a record's payload is damaged";
    at += whole;
  }
  if (batch.size() - at >= kBlockBytes || !all_zero(batch.subspan(at)))
    return "bytes lie behind the last record";
  return {};
}

// A frame on any block from `from` on that is newer than batch `number`.
std::optional<std::uint64_t> later_frame(Bytes segment, std::uint64_t from, Salt salt, BatchNumber number) {
  for (auto at = from; at < segment.size(); at += kBlockBytes) {
    const auto frame = decode_frame(segment.subspan(at), salt);
    if (frame && frame->number > number) return at;
  }
  return std::nullopt;
}

}  // namespace

RecordCursor::RecordCursor(const BatchView& batch) : batch_(batch), left_(batch.frame.records) {}

std::optional<RecordView> RecordCursor::next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  const auto header = decode_record_header(batch_.bytes.subspan(at_));
  CHECK(header, "segment {} offset {}", batch_.segment.value, batch_.offset + at_);
  record_at_ = at_;
  at_ += record_bytes(header->payload_bytes);
  return RecordView{{header->sequence, batch_.segment},
                    header->type,
                    batch_.bytes.subspan(record_at_ + kRecordHeaderBytes, header->payload_bytes)};
}

BatchCheck check_batch(Bytes segment, std::uint64_t offset, Salt salt) {
  BatchCheck check;
  const auto rest = segment.subspan(offset);
  check.frame = decode_frame(rest, salt);
  if (!check.frame) {
    check.problem = "there is no valid batch frame";
  } else if (check.frame->bytes > rest.size()) {
    check.problem = "the batch reaches beyond its segment";
  } else {
    const auto batch = rest.first(check.frame->bytes);
    if (crc32c(batch.subspan(kFrameBytes)) != check.frame->body_crc) {
      check.problem = "the batch's checksum differs";
    } else {
      check.problem = records_problem(batch, *check.frame);
    }
  }
  return check;
}

bool LogScan::refuse(SegmentNumber segment, std::uint64_t offset, std::string what) {
  refusal_ = Refusal{RefusalReason::kDamage, segment, offset, std::move(what)};
  return false;
}

std::optional<std::string> LogScan::length_problem(const Place& place) const {
  const auto bytes = place.bytes.size();
  const auto expected = place.segment.file_bytes;
  // A segment that was superseded by an opening may have lost its zeros; any other keeps its first length.
  const bool may_be_shorter = place.successor && place.successor->restates;
  if (bytes == expected || (may_be_shorter && bytes < expected && bytes >= kBlockBytes)) return std::nullopt;
  return fmt::format("the file has {} bytes, its header says {}", bytes, expected);
}

std::optional<std::string> LogScan::order_problem(const Place& place, const BatchFrame& frame,
                                                  bool first) const {
  const bool restated = first && place.segment.restates;
  if (restated && frame.number != *place.segment.restates) {
    return fmt::format("the segment begins with batch {}, its header says {}", frame.number.value,
                       place.segment.restates->value);
  }
  if (!tail_) return std::nullopt;
  // The batch that a new segment repeats was itself left unread in the old one.
  const auto number = tail_->frame.number.value + 1;
  const auto sequence = tail_->frame.next_sequence();
  if (frame.number.value != number)
    return fmt::format("batch {} stands where batch {} is due", frame.number.value, number);
  if (frame.first_sequence != sequence)
    return fmt::format("record {} stands where record {} is due", frame.first_sequence.value, sequence.value);
  return std::nullopt;
}

// True if the next batch is the one that the successor, made while opening, begins with: the rest here is
// void.
bool LogScan::reaches_successor(const Place& place) const {
  return tail_ && place.successor && place.successor->restates &&
         tail_->frame.number.value + 1 == place.successor->restates->value;
}

// A place that holds no whole batch: the end of the segment, damage, or a tail that nobody can vouch for.
void LogScan::judge(const Place& place, std::uint64_t offset, const BatchCheck& check, bool first) {
  const auto rest = place.bytes.subspan(offset);
  const auto segment = place.segment.number;
  const BatchNumber due{tail_ ? tail_->frame.number.value + 1 : 0};
  if (place.successor && place.successor->restates) {
    refuse(segment, offset,
           fmt::format("{}, but segment {} says that batches up to {} were here", check.problem,
                       place.successor->number.value, place.successor->restates->value));
    return;
  }
  if (first && place.segment.restates) {
    refuse(segment, offset,
           fmt::format("{}, although the segment got its name only after this batch was durable",
                       check.problem));
    return;
  }
  if (all_zero(rest)) return;
  if (!tail_) {
    refuse(segment, offset, fmt::format("{}, and no batch before it tells which one is due", check.problem));
    return;
  }
  const auto later = later_frame(place.bytes, offset + kBlockBytes, place.segment.salt, due);
  if (later) {
    refuse(segment, offset,
           fmt::format("{}, but a later batch at offset {} proves that it had been synced", check.problem,
                       *later));
    return;
  }
  if (check.frame && check.frame->bytes < rest.size() && !all_zero(rest.subspan(check.frame->bytes))) {
    refuse(segment, offset,
           fmt::format("{}, but bytes behind it prove that it had been synced", check.problem));
    return;
  }
  suspect_ = CutTail{segment, offset, due, tail_->frame.next_sequence(), std::string(check.problem)};
}

Result<bool> LogScan::feed(const SegmentHeader& segment, const SegmentHeader* successor, Bytes bytes,
                           const Sink& sink) {
  const Place place{segment, successor, bytes};
  if (refusal_) return false;
  if (const auto problem = length_problem(place)) return refuse(segment.number, 0, *problem);
  if (suspect_) {
    if (all_zero(bytes.subspan(kBlockBytes))) return true;
    return refuse(suspect_->segment, suspect_->offset,
                  fmt::format("{}, but segment {} was begun, which proves that it had been synced",
                              suspect_->what, segment.number.value));
  }
  bool first = true;
  for (std::uint64_t offset = kBlockBytes; offset < bytes.size(); first = false) {
    if (reaches_successor(place)) return true;
    const auto check = check_batch(bytes, offset, segment.salt);
    if (!check.problem.empty()) {
      judge(place, offset, check, first);
      if (first && !refusal_ && !suspect_) empty_ = segment.number;
      return !refusal_;
    }
    if (empty_) {
      return refuse(
          *empty_, kBlockBytes,
          fmt::format("the segment holds no batch, but segment {} behind it does", segment.number.value));
    }
    if (const auto problem = order_problem(place, *check.frame, first))
      return refuse(segment.number, offset, *problem);
    if (auto taken = sink({segment.number, offset, *check.frame, bytes.subspan(offset, check.frame->bytes)});
        !taken)
      return std::unexpected(std::move(taken.error()));
    tail_ = Tail{*check.frame, segment.number, first};
    offset += check.frame->bytes;
  }
  if (successor && successor->restates && !reaches_successor(place)) {
    return refuse(segment.number, bytes.size(),
                  fmt::format("the segment ends here, but segment {} says that batches up to {} were in it",
                              successor->number.value, successor->restates->value));
  }
  return true;
}

Verdict LogScan::finish(const SegmentHeader& oldest) const {
  if (refusal_) return *refusal_;
  if (!tail_) {
    return Refusal{RefusalReason::kMissingSegment, oldest.predecessor, 0,
                   "this segment is gone, and those that follow it hold no batch"};
  }
  if (tail_->frame.oldest_segment < oldest.number) {
    return Refusal{RefusalReason::kMissingSegment, oldest.predecessor, 0,
                   fmt::format("this segment is gone, and the log needs all from segment {} on",
                               tail_->frame.oldest_segment.value)};
  }
  if (suspect_) return *suspect_;
  return CleanEnd{};
}

}  // namespace troth::txlog
