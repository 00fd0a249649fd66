// The log's reader meets what nobody wrote. The input is a script: it builds a log, then edits its bytes.
// With the checksums left alone, whatever comes out must be a prefix of what was written; with the checksums
// made right again, the edits reach every check behind them, and nothing may break. The tool's dump reads the
// same bytes.
#include "tests/unit/txlog/faulty_files.h"
#include "tests/unit/txlog/log_image.h"
#include "txlog/chain.h"
#include "txlog/crc32c.h"
#include "txlog/runtime/inspect.h"
#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {
namespace {

constexpr std::uint64_t kSegment = 5 * kBlockBytes;

class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  [[nodiscard]] bool empty() const { return left_ == 0; }
  std::uint32_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::uint32_t word() {
    const auto high = byte();
    return high << 8 | byte();
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

LogImage build(Script& script) {
  LogImage image(kSegment);
  std::vector<std::string> last;
  const auto steps = script.byte() % 8;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const auto what = script.byte();
    if (what % 8 == 0) {
      image.reopen(last);
    } else if (what % 8 == 1) {
      image.continue_in_new_segment();
    } else {
      last.clear();
      for (std::uint32_t i = 0; i < what % 4; ++i)
        last.emplace_back(script.word() % 4000, static_cast<char>(step));
      image.add(last);
    }
  }
  return image;
}

// Overwrites short runs of bytes, or whole blocks by others.
void edit(Script& script, std::vector<ImageSegment>& segments) {
  while (!script.empty()) {
    auto& bytes = segments[script.byte() % segments.size()].bytes;
    const auto kind = script.byte();
    const auto at = std::size_t{script.word()} % bytes.size();
    if (kind % 4 == 0) {
      const auto from = std::size_t{script.byte()} % (bytes.size() / kBlockBytes) * kBlockBytes;
      const auto to = at / kBlockBytes * kBlockBytes;
      std::memmove(&bytes[to], &bytes[from], std::min(kBlockBytes, bytes.size() - std::max(from, to)));
    } else if (kind % 16 == 1) {
      bytes.resize(std::max(at, kBlockBytes));
      bytes.resize(std::max(bytes.size(), std::size_t{kind} * 256));
    } else {
      for (std::uint32_t i = 0; i < kind % 8 + 1 && at + i < bytes.size(); ++i)
        bytes[at + i] = static_cast<std::byte>(script.byte());
    }
  }
}

void sign(std::span<std::byte> bytes, std::size_t crc_at, std::uint32_t crc) {
  std::memcpy(bytes.subspan(crc_at, sizeof(crc)).data(), &crc, sizeof(crc));
}

// Makes the checksums of everything that looks like a header, a frame or a record right.
void sign_all(std::vector<std::byte>& segment) {
  const auto all = std::span(segment);
  sign(all, 8, crc32c(all.subspan(12, kBlockBytes - 12)));
  for (std::size_t at = kBlockBytes; at + kBlockBytes <= all.size(); at += kBlockBytes) {
    if (text_of(all.subspan(at, 4)) != "TXLF") continue;
    std::uint32_t length = 0;
    std::memcpy(&length, &all[at + 48], sizeof(length));
    if (length < kBlockBytes || length > all.size() - at) continue;
    const auto batch = all.subspan(at, length);
    for (std::size_t record = kFrameBytes; record + kRecordHeaderBytes <= batch.size();) {
      std::uint32_t payload = 0;
      std::memcpy(&payload, &batch[record + 4], sizeof(payload));
      if (payload > batch.size() - record - kRecordHeaderBytes) break;
      sign(batch, record + 12, crc32c(batch.subspan(record + kRecordHeaderBytes, payload)));
      sign(batch, record, crc32c(batch.subspan(record + 4, kRecordHeaderBytes - 4)));
      record += record_bytes(payload);
    }
    sign(batch, 56, crc32c(batch.subspan(kFrameBytes)));
    sign(batch, 4, crc32c(batch.subspan(8, kFrameBytes - 8)));
  }
}

// What replay would deliver, if anything.
std::vector<std::string> read(const std::vector<ImageSegment>& segments) {
  std::vector<SegmentHeader> headers;
  for (const auto& segment : segments) {
    auto header = decode_segment_header(segment.bytes);
    if (!header) return {};
    headers.push_back(std::move(*header));
  }
  const auto chain = link_segments(headers, LogImage::identity());
  if (!chain) return {};
  std::vector<ImageSegment> live;
  for (const auto& header : chain->live) {
    for (const auto& segment : segments) {
      // Two files cannot have one number: their names say it, and it is compared with the header's.
      if (segment.header.number == header.number) live.push_back({header, segment.bytes, 0, std::nullopt});
    }
  }
  if (live.size() != chain->live.size()) return {};
  const auto result = scan(live);
  for (std::size_t i = 1; i < result.positions.size(); ++i)
    CHECK(result.positions[i].sequence.value == result.positions[i - 1].sequence.value + 1);
  return result.payloads;
}

void inspect(const std::vector<ImageSegment>& segments) {
  FaultyFiles disk(1);
  for (const auto& segment : segments)
    disk.put("/log/" + segment_file_name(segment.header.number), segment.bytes);
  std::size_t payload_bytes = 0;
  const auto report = dump(
      "/log",
      [&payload_bytes](const DumpLine& line) {
        if (const auto* record = std::get_if<RecordLine>(&line)) payload_bytes += record->payload.size();
      },
      &disk);
  CHECK(report);
  CHECK(report->payload_bytes <= payload_bytes, "verify saw records that dump does not show");
}

void run(const std::uint8_t* data, std::size_t size) {
  Script script(data, size);
  const bool make_right = script.byte() % 2 == 1;
  const auto image = build(script);
  auto segments = image.segments;
  edit(script, segments);
  if (make_right) {
    for (auto& segment : segments)
      sign_all(segment.bytes);
  }
  const auto payloads = read(segments);
  if (!make_right) {
    CHECK(payloads.size() <= image.expected().size());
    CHECK(std::equal(payloads.begin(), payloads.end(), image.expected().begin()));
  }
  inspect(segments);
}

}  // namespace
}  // namespace troth::txlog

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  troth::txlog::run(data, size);
  return 0;
}
