#include "thrift/frame.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/random.h"

namespace troth::rpc {
namespace {

using ByteVector = std::vector<std::uint8_t>;

ByteVector frame_of(std::string_view content) {
  const auto length = frame_length(static_cast<std::uint32_t>(content.size()));
  ByteVector bytes(length.begin(), length.end());
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}

std::string text_of(Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

// Everything that comes of a stream which arrives in pieces of the given sizes (the last one repeats).
std::vector<std::string> decode(FrameDecoder& decoder, const ByteVector& stream, std::size_t piece) {
  std::vector<std::string> events;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    Bytes input = Bytes(stream).subspan(at, std::min(piece, stream.size() - at));
    while (true) {
      const auto event = decoder.next(input);
      if (std::holds_alternative<NeedMore>(event)) break;
      if (const auto* frame = std::get_if<Frame>(&event)) events.push_back(text_of(frame->content));
      if (const auto* skipped = std::get_if<SkippedFrame>(&event))
        events.push_back("skipped " + std::to_string(skipped->length) + " " +
                         text_of(skipped->head.first(2)));
      if (std::holds_alternative<BrokenStream>(event)) {
        events.emplace_back("broken");
        return events;
      }
    }
    EXPECT_TRUE(input.empty()) << "NeedMore means that the input is used up";
  }
  return events;
}

ByteVector joined(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const auto& part : parts)
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(FrameDecoder, GivesTheSameFramesHoweverTheStreamIsCut) {
  const std::string large(10'000, 'x');
  const auto stream = joined({frame_of("one"), frame_of(""), frame_of(large), frame_of("end")});
  for (const std::size_t piece : {1UL, 2UL, 3UL, 4UL, 5UL, 7UL, 100UL, 4096UL, stream.size()}) {
    FrameDecoder decoder({});
    EXPECT_EQ(decode(decoder, stream, piece), (std::vector<std::string>{"one", "", large, "end"})) << piece;
    EXPECT_FALSE(decoder.is_inside_frame());
  }
}

TEST(FrameDecoder, CopiesNothingThatLiesWholeInTheInput) {
  FrameDecoder decoder({});
  const auto stream = frame_of("whole");
  Bytes input(stream);
  const auto event = decoder.next(input);
  EXPECT_EQ(std::get<Frame>(event).content.data(), stream.data() + kFrameLengthBytes);
  EXPECT_EQ(decoder.held_bytes(), 0U);
}

TEST(FrameDecoder, KnowsATruncatedFrame) {
  FrameDecoder decoder({});
  EXPECT_FALSE(decoder.is_inside_frame());
  decode(decoder, {0}, 1);
  EXPECT_TRUE(decoder.is_inside_frame());
  decode(decoder, {0, 0, 2, 'a'}, 4);
  EXPECT_TRUE(decoder.is_inside_frame());
  EXPECT_EQ(decode(decoder, {'b'}, 1), std::vector<std::string>{"ab"});
  EXPECT_FALSE(decoder.is_inside_frame());
}

TEST(FrameDecoder, MemoryFollowsWhatCameAndNotWhatWasClaimed) {
  FrameDecoder decoder({.max_frame_bytes = 1U << 30, .max_skipped_bytes = 1U << 30});
  const auto length = frame_length(1U << 30);
  decode(decoder, {length.begin(), length.end()}, 4);
  decode(decoder, ByteVector(1000, 'x'), 1000);
  EXPECT_LE(decoder.held_bytes(), 8U << 10);
}

TEST(FrameDecoder, SkipsAFrameOverTheLimitAndStaysInStep) {
  const auto stream =
      joined({frame_of("first"), frame_of("HEAD" + std::string(5000, 'x')), frame_of("next")});
  for (const std::size_t piece : {1UL, 3UL, 1000UL, stream.size()}) {
    FrameDecoder decoder({.max_frame_bytes = 100, .max_skipped_bytes = 10'000});
    EXPECT_EQ(decode(decoder, stream, piece), (std::vector<std::string>{"first", "skipped 5004 HE", "next"}));
    EXPECT_LE(decoder.held_bytes(), 2 * kKeptHeadBytes);
  }
}

TEST(FrameDecoder, EndsOnALengthThatNobodyMeans) {
  FrameDecoder decoder({.max_frame_bytes = 100, .max_skipped_bytes = 10'000});
  const auto stream = joined({frame_of("first"), {'G', 'E', 'T', ' '}, frame_of("never seen")});
  EXPECT_EQ(decode(decoder, stream, stream.size()), (std::vector<std::string>{"first", "broken"}));
  const ByteVector more{1, 2, 3};
  Bytes input(more);
  EXPECT_TRUE(std::holds_alternative<BrokenStream>(decoder.next(input)));
}

TEST(FrameDecoder, AFrameThatIsGivenUpIsSkippedToItsEnd) {
  const auto stream = joined({frame_of("HEAD" + std::string(5000, 'x')), frame_of("next")});
  FrameDecoder decoder({});
  decode(decoder, ByteVector(stream.begin(), stream.begin() + 3000), 3000);
  EXPECT_GT(decoder.held_bytes(), 2000U);
  decoder.give_up_frame();
  EXPECT_LE(decoder.held_bytes(), 2 * kKeptHeadBytes);
  EXPECT_EQ(decode(decoder, ByteVector(stream.begin() + 3000, stream.end()), 100),
            (std::vector<std::string>{"skipped 5004 HE", "next"}));
}

TEST(FrameDecoder, GivingUpWithoutAFrameDoesNothing) {
  FrameDecoder decoder({});
  decoder.give_up_frame();
  decode(decoder, {0, 0}, 2);
  decoder.give_up_frame();
  EXPECT_EQ(decode(decoder, {0, 1, 'a'}, 3), std::vector<std::string>{"a"});
}

TEST(FrameDecoder, AnyBytesInAnyCutsEndInEvents) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    FrameDecoder decoder({.max_frame_bytes = 64, .max_skipped_bytes = 256});
    ByteVector stream;
    for (auto parts = random.between(1, 5); parts > 0; --parts) {
      const auto part = frame_of(std::string(random.below(300), 'x'));
      stream.insert(stream.end(), part.begin(), part.end());
    }
    if (random.one_in(3)) {
      auto& byte = stream[random.below(stream.size())];
      byte = static_cast<std::uint8_t>(byte ^ (1U << random.below(8)));
    }
    FrameDecoder whole({.max_frame_bytes = 64, .max_skipped_bytes = 256});
    EXPECT_EQ(decode(decoder, stream, 1 + random.below(50)), decode(whole, stream, stream.size()));
  }
}

}  // namespace
}  // namespace troth::rpc
