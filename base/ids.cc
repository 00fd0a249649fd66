#include "base/ids.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace troth {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::unexpected<Error> not_an_id(std::string_view what, std::string_view text, std::string_view expected) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("'{}' is not a {}: expected {}", text.substr(0, 80), what, expected));
}

// Decimal without sign, leading zero or trailing bytes, in [1, max].
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  if (text.empty() || text.front() == '0') return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

// Cuts the part before the next '.' off the front of `rest`.
std::string_view next_part(std::string_view& rest) {
  const auto dot = rest.find('.');
  const auto part = rest.substr(0, dot);
  rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  return part;
}

std::optional<std::uint8_t> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

Result<ClusterId> parse_cluster_id(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= kMaxClusterLength && text.front() != '-' &&
                    std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '-'; });
  if (!fits) {
    return not_an_id("cluster id", text, "1 to 19 lower-case letters, digits and '-', e.g. bank-x7k2p9");
  }
  return ClusterId{std::string(text)};
}

Result<ResourceName> parse_resource_name(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
  if (!fits)
    return not_an_id("resource name", text, "1 to 32 letters, digits, '-' and '_', e.g. accounts_pg");
  return ResourceName{std::string(text)};
}

std::string TransactionId::text() const {
  if (one_phase)
    return fmt::format("{}.{}.{}.s{}", cluster.value, epoch.value, sequence.value, one_phase->value);
  return fmt::format("{}.{}.{}", cluster.value, epoch.value, sequence.value);
}

Result<TransactionId> TransactionId::parse(std::string_view text) {
  constexpr std::string_view kExpected = "<cluster>.<epoch>.<sequence>, e.g. bank-x7k2p9.3.1042";
  if (text.size() > kMaxTransactionIdLength) return not_an_id("transaction id", text, kExpected);
  std::string_view rest = text;
  auto cluster = parse_cluster_id(next_part(rest));
  const auto epoch = parse_number(next_part(rest), UINT32_MAX);
  const bool tagged = rest.find('.') != std::string_view::npos;
  const auto sequence = parse_number(next_part(rest), kMaxSequence);
  if (!cluster || !epoch || !sequence) return not_an_id("transaction id", text, kExpected);
  TransactionId id{std::move(*cluster), {static_cast<std::uint32_t>(*epoch)}, {*sequence}, std::nullopt};
  if (tagged) {
    if (!rest.starts_with('s')) return not_an_id("transaction id", text, kExpected);
    const auto resource = parse_number(rest.substr(1), kMaxResourceNumber);
    if (!resource) return not_an_id("transaction id", text, kExpected);
    id.one_phase = ResourceNumber{static_cast<std::uint32_t>(*resource)};
  }
  return id;
}

std::uint64_t RequestId::unix_ms() const {
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i)
    ms = ms << 8 | bytes[i];
  return ms;
}

std::string RequestId::text() const {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHexDigits[bytes[i] >> 4];
    text += kHexDigits[bytes[i] & 15];
  }
  return text;
}

Result<RequestId> RequestId::parse(std::string_view text) {
  constexpr std::string_view kExpected = "a UUID of version 7, e.g. 0192f0c1-2b3c-7d4e-8f50-0123456789ab";
  if (text.size() != 36) return not_an_id("request_id", text, kExpected);
  RequestId id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at++] != '-') return not_an_id("request_id", text, kExpected);
    }
    const auto high = hex_value(text[at]);
    const auto low = hex_value(text[at + 1]);
    if (!high || !low) return not_an_id("request_id", text, kExpected);
    id.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    at += 2;
  }
  const bool version_seven = id.bytes[6] >> 4 == 7 && id.bytes[8] >> 6 == 2;
  if (!version_seven) return not_an_id("request_id", text, kExpected);
  return id;
}

std::string Digest::hex() const {
  std::string text;
  for (const auto byte : bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

}  // namespace troth
