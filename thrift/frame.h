// thrift/frame.h
//
// Cuts a byte stream into the frames of Thrift's framed transport: a big-endian length of four bytes, then
// that many bytes. A length is believed only as far as bytes have come: memory grows with what was received,
// never with what was claimed.
//
//   length <= max_frame_bytes     the frame is kept and returned whole
//   length <= max_skipped_bytes   its bytes are thrown away as they come; the head is kept, so that the call
//   in
//                                 it can be refused by name, and the stream stays in step
//   above                         no framed Thrift is spoken here (four letters of "GET " are such a length)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace troth::rpc {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t kFrameLengthBytes = 4;
// Enough of a skipped frame for any message header (see message.h).
inline constexpr std::size_t kKeptHeadBytes = 256;

struct FrameLimits {
  std::uint32_t max_frame_bytes = 16U << 20;
  std::uint32_t max_skipped_bytes = 256U << 20;
};

// A whole frame's content. Valid until the decoder is used again, or the input's bytes are gone.
struct Frame {
  Bytes content;
};

// A frame that was thrown away: it was over the limit, or the owner gave it up.
struct SkippedFrame {
  std::uint32_t length = 0;
  Bytes head;  // its first kKeptHeadBytes at most; valid as a Frame's content is
  bool over_limit = false;
};

// The stream cannot be followed any further.
struct BrokenStream {
  std::uint32_t length = 0;
};

// The input is used up; the rest of the frame has not come yet.
struct NeedMore {};

using FrameEvent = std::variant<NeedMore, Frame, SkippedFrame, BrokenStream>;

class FrameDecoder {
 public:
  explicit FrameDecoder(FrameLimits limits) : limits_(limits) {}

  // Takes bytes off the front of `input` up to the end of one frame. A frame that lies wholly in `input` is
  // returned in place, without a copy. After BrokenStream every call returns it again.
  [[nodiscard]] FrameEvent next(Bytes& input);

  // Frees what is held of a half-received frame; its rest will be skipped. Without one: does nothing.
  void give_up_frame();

  // True between the first byte of a frame's length and its last byte: end of stream now is a truncation.
  [[nodiscard]] bool is_inside_frame() const { return length_bytes_ > 0; }
  [[nodiscard]] std::size_t held_bytes() const { return held_.capacity(); }

 private:
  [[nodiscard]] bool take_length(Bytes& input);
  [[nodiscard]] FrameEvent take_frame(Bytes& input);
  [[nodiscard]] FrameEvent take_skipped(Bytes& input);
  void begin_next_frame();
  void release_returned();

  FrameLimits limits_;
  std::array<std::uint8_t, kFrameLengthBytes> length_field_{};
  std::size_t length_bytes_ = 0;  // of length_field_, received
  std::uint32_t length_ = 0;      // valid when length_bytes_ == 4
  std::uint32_t received_ = 0;    // of the current frame's content
  bool skipping_ = false;
  bool over_limit_ = false;
  bool returned_ = false;  // held_ was handed out and is free again
  std::vector<std::uint8_t> held_;
};

// A frame's length that is really how a TLS record begins: the other side speaks TLS.
[[nodiscard]] constexpr bool is_tls_record(std::uint32_t length) {
  const std::uint32_t kind = length >> 24, version = (length >> 16) & 0xff;
  return kind >= 0x14 && kind <= 0x17 && version == 0x03;
}

// Writes `content_bytes` as a frame's length.
[[nodiscard]] std::array<std::uint8_t, kFrameLengthBytes> frame_length(std::uint32_t content_bytes);

}  // namespace troth::rpc
