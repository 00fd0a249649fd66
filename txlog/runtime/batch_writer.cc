#include "txlog/runtime/batch_writer.h"

#include "base/check.h"

namespace troth::txlog {

Salt next_salt(Random& random) {
  const auto value = random.next();
  return Salt{value == 0 ? 1 : value};
}

BatchWriter::BatchWriter(Start start, SegmentPreparer& preparer, Random& random)
    : segment_(std::move(start.segment)),
      offset_(start.offset),
      last_(start.last),
      segment_bytes_(start.segment_bytes),
      preparer_(preparer),
      random_(random) {
  prepare_next();
}

void BatchWriter::prepare_next() {
  SegmentHeader next = segment_.header;
  next.number.value += 1;
  next.salt = next_salt(random_);
  next.predecessor = segment_.header.number;
  next.predecessor_salt = segment_.header.salt;
  next.file_bytes = segment_bytes_;
  next.restates.reset();
  preparer_.prepare(next);
}

Status BatchWriter::write(BatchBuilder& batch, const Standing& standing) {
  if (offset_ + batch.sealed_bytes() > segment_.header.file_bytes) {
    auto next = preparer_.take();
    if (!next) {
      next.error().effect = Effect::kNone;
      return std::unexpected(std::move(next.error()));
    }
    segment_ = std::move(*next);
    offset_ = kBlockBytes;
    prepare_next();
  }
  BatchFrame frame;
  frame.salt = segment_.header.salt;
  frame.number = {last_.number.value + 1};
  frame.first_sequence = last_.next_sequence();
  frame.oldest_segment = standing.oldest_segment;
  frame.unsettled_cut = standing.unsettled_cut;
  CHECK(batch.empty() || batch.first_sequence() == frame.first_sequence);
  const auto bytes = batch.seal(frame);
  CHECK(offset_ + bytes.size() <= segment_.header.file_bytes, "batch of {} bytes", bytes.size());
  frame.records = batch.records();
  auto done = segment_.file->write_at(offset_, bytes);
  if (done) done = segment_.file->sync_data();
  if (!done) {
    done.error().effect = Effect::kUnknown;
    return done;
  }
  offset_ += bytes.size();
  last_ = frame;
  return {};
}

}  // namespace troth::txlog
