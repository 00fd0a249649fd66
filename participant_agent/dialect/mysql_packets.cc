#include "participant_agent/dialect/mysql_packets.h"

#include <cstdint>
#include <optional>

namespace troth::agent {
namespace {

constexpr std::size_t kHeader = 4;
constexpr std::size_t kContinued = 0xFF'FF'FF;  // of that length: its body goes on in the next packet
constexpr std::size_t kLongestEof = 8;
constexpr std::uint8_t kOk = 0x00;
constexpr std::uint8_t kTwoOctets = 0xFC;  // a number that does not fit in one
constexpr std::uint8_t kLocalFile = 0xFB;  // the server asks for a file of the client's
constexpr std::uint8_t kEof = 0xFE;
constexpr std::uint8_t kError = 0xFF;

std::size_t octet(std::string_view octets, std::size_t at) {
  return static_cast<std::uint8_t>(octets[at]);
}

// The next packet's body; it is cut off the octets. Nothing: it has not come whole.
std::optional<std::string_view> take_packet(std::string_view& octets) {
  if (octets.size() < kHeader) return std::nullopt;
  const std::size_t length = octet(octets, 0) | octet(octets, 1) << 8U | octet(octets, 2) << 16U;
  if (octets.size() - kHeader < length) return std::nullopt;
  const std::string_view body = octets.substr(kHeader, length);
  octets.remove_prefix(kHeader + length);
  return body;
}

// What the next packet must be.
class Answer {
 public:
  enum class After : std::uint8_t { kPacket, kAnswer, kNonsense };

  After take(std::string_view body) {
    if (body.empty() || body.size() == kContinued) return After::kNonsense;
    const std::size_t first = octet(body, 0);
    const bool is_eof = first == kEof && body.size() <= kLongestEof;
    switch (part_) {
      case Part::kHead: return take_head(body, first);
      case Part::kColumns:
        if (--columns_ == 0) part_ = Part::kColumnsEnd;
        return After::kPacket;
      case Part::kColumnsEnd: part_ = Part::kRows; return is_eof ? After::kPacket : After::kNonsense;
      case Part::kRows:
        if (first == kError) return After::kNonsense;
        if (!is_eof) return After::kPacket;
        part_ = Part::kHead;
        return After::kAnswer;
    }
    return After::kNonsense;
  }

 private:
  enum class Part : std::uint8_t { kHead, kColumns, kColumnsEnd, kRows };

  After take_head(std::string_view body, std::size_t first) {
    if (first == kOk) return After::kAnswer;
    if (first == kTwoOctets && body.size() >= 3) {
      columns_ = octet(body, 1) | octet(body, 2) << 8U;
    } else if (first < kLocalFile) {
      columns_ = first;
    }
    part_ = Part::kColumns;
    return columns_ == 0 ? After::kNonsense : After::kPacket;
  }

  Part part_ = Part::kHead;
  std::size_t columns_ = 0;
};

}  // namespace

ArrivedAnswers arrived_answers(std::string_view octets, std::size_t most) {
  ArrivedAnswers arrived;
  Answer answer;
  while (arrived.whole < most) {
    const std::optional<std::string_view> body = take_packet(octets);
    if (!body.has_value()) break;
    const Answer::After after = answer.take(*body);
    arrived.ill = after == Answer::After::kNonsense;
    if (arrived.ill) break;
    if (after == Answer::After::kAnswer) ++arrived.whole;
  }
  return arrived;
}

}  // namespace troth::agent
