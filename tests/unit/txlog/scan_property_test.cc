// Properties of the reader over logs of every shape; RapidCheck shrinks what breaks them.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/unit/txlog/log_image.h"

namespace troth::txlog {
namespace {

constexpr std::uint64_t kSegment = 6 * kBlockBytes;

// Each inner vector is a batch of payload lengths; an empty one may be an opening instead of a batch.
using Shape = std::vector<std::vector<std::uint16_t>>;

LogImage image_of(const Shape& shape, bool empty_batches_reopen) {
  LogImage image(kSegment);
  std::vector<std::string> last;
  for (const auto& batch : shape) {
    if (batch.empty() && empty_batches_reopen) {
      image.reopen(last);
      continue;
    }
    last.clear();
    std::size_t bytes = 0;
    for (const auto length : batch) {
      if (bytes + record_bytes(length % 5000) > kSegment - 2 * kBlockBytes) break;
      bytes += record_bytes(length % 5000);
      last.emplace_back(length % 5000, static_cast<char>('a' + last.size() % 26));
    }
    image.add(last);
  }
  return image;
}

TEST(ScanProperty, WhateverIsWrittenComesBack) {
  const bool holds = rc::check([](const Shape& shape, bool reopen) {
    const auto image = image_of(shape, reopen);
    const auto result = scan(image.segments);
    RC_ASSERT(result.verdict == Verdict{CleanEnd{}});
    RC_ASSERT(result.payloads == image.expected());
    RC_ASSERT(result.tail->frame == image.last());
  });
  EXPECT_TRUE(holds);
}

TEST(ScanProperty, NoChangedByteEverChangesARecord) {
  const bool holds = rc::check([](const Shape& shape, bool reopen, std::size_t place, std::uint8_t value) {
    const auto image = image_of(shape, reopen);
    auto segments = image.segments;
    auto& bytes = segments[place % segments.size()].bytes;
    bytes[kBlockBytes + place / segments.size() % (bytes.size() - kBlockBytes)] =
        static_cast<std::byte>(value);
    const auto result = scan(segments);
    RC_ASSERT(result.payloads.size() <= image.expected().size());
    RC_ASSERT(std::equal(result.payloads.begin(), result.payloads.end(), image.expected().begin()));
    if (std::holds_alternative<CleanEnd>(result.verdict)) RC_ASSERT(result.payloads == image.expected());
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace troth::txlog
