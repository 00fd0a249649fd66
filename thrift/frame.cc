#include "thrift/frame.h"

#include <algorithm>

namespace troth::rpc {
namespace {

// A buffer above this is given back after its frame, so that one large message does not stay in memory for as
// long as its connection lives.
constexpr std::size_t kKeptCapacity = 64U << 10;
constexpr std::size_t kFirstCapacity = 4U << 10;

Bytes take(Bytes& input, std::size_t count) {
  const Bytes taken = input.first(count);
  input = input.subspan(count);
  return taken;
}

}  // namespace

FrameEvent FrameDecoder::next(Bytes& input) {
  release_returned();
  if (!take_length(input)) return NeedMore{};
  if (length_ > limits_.max_skipped_bytes && length_ > limits_.max_frame_bytes) return BrokenStream{length_};
  return skipping_ ? take_skipped(input) : take_frame(input);
}

bool FrameDecoder::take_length(Bytes& input) {
  if (length_bytes_ == kFrameLengthBytes) return true;
  const auto part = take(input, std::min(input.size(), kFrameLengthBytes - length_bytes_));
  std::ranges::copy(part, length_field_.begin() + static_cast<std::ptrdiff_t>(length_bytes_));
  length_bytes_ += part.size();
  if (length_bytes_ < kFrameLengthBytes) return false;
  length_ = 0;
  for (const auto byte : length_field_)
    length_ = length_ << 8 | byte;
  over_limit_ = length_ > limits_.max_frame_bytes;
  skipping_ = over_limit_;
  return true;
}

FrameEvent FrameDecoder::take_frame(Bytes& input) {
  if (received_ == 0 && input.size() >= length_) {
    const Frame frame{take(input, length_)};
    begin_next_frame();
    return frame;
  }
  const auto part = take(input, std::min<std::size_t>(input.size(), length_ - received_));
  const std::size_t needed = held_.size() + part.size();
  if (needed > held_.capacity()) {
    const std::size_t grown = std::max({needed, held_.capacity() * 2, kFirstCapacity});
    held_.reserve(std::min<std::size_t>(grown, length_));
  }
  held_.insert(held_.end(), part.begin(), part.end());
  received_ += static_cast<std::uint32_t>(part.size());
  if (received_ < length_) return NeedMore{};
  begin_next_frame();
  returned_ = true;
  return Frame{held_};
}

FrameEvent FrameDecoder::take_skipped(Bytes& input) {
  const auto part = take(input, std::min<std::size_t>(input.size(), length_ - received_));
  if (held_.size() < kKeptHeadBytes) {
    const auto head = part.first(std::min(part.size(), kKeptHeadBytes - held_.size()));
    held_.insert(held_.end(), head.begin(), head.end());
  }
  received_ += static_cast<std::uint32_t>(part.size());
  if (received_ < length_) return NeedMore{};
  const SkippedFrame skipped{length_, held_, over_limit_};
  begin_next_frame();
  returned_ = true;
  return skipped;
}

void FrameDecoder::give_up_frame() {
  if (length_bytes_ < kFrameLengthBytes || returned_) return;
  skipping_ = true;
  if (held_.size() > kKeptHeadBytes) held_.resize(kKeptHeadBytes);
  held_.shrink_to_fit();
}

void FrameDecoder::begin_next_frame() {
  length_bytes_ = 0;
  received_ = 0;
  skipping_ = false;
}

void FrameDecoder::release_returned() {
  if (!returned_) return;
  returned_ = false;
  held_.clear();
  if (held_.capacity() > kKeptCapacity) held_.shrink_to_fit();
}

std::array<std::uint8_t, kFrameLengthBytes> frame_length(std::uint32_t content_bytes) {
  return {static_cast<std::uint8_t>(content_bytes >> 24), static_cast<std::uint8_t>(content_bytes >> 16),
          static_cast<std::uint8_t>(content_bytes >> 8), static_cast<std::uint8_t>(content_bytes)};
}

}  // namespace troth::rpc
