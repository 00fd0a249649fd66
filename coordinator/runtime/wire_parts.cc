#include "coordinator/runtime/wire_parts.h"

#include <chrono>
#include <utility>

#include "base/utf8.h"

namespace troth::coordinator {
namespace {

std::size_t size_of(const wire::Value& value) {
  std::size_t bytes = sizeof value;
  for (const auto* text : {&value.decimal, &value.text, &value.bytes, &value.date, &value.time,
                           &value.timestamp, &value.timestamp_tz, &value.json, &value.uuid})
    bytes += text->size();
  for (const auto& element : value.elements)
    bytes += size_of(element);
  return bytes;
}

}  // namespace

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

Status check_text(std::string_view what, std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes)
    return refuse(fmt::format("{} has {} bytes, at most {} are taken", what, text.size(), max_bytes));
  if (!is_utf8(text)) return refuse(fmt::format("{} is not UTF-8", what));
  return {};
}

Result<Duration> milliseconds_of(std::string_view what, std::int64_t ms) {
  constexpr std::int64_t kLongest = 366LL * 24 * 3600 * 1000;
  if (ms <= 0 || ms > kLongest)
    return refuse(fmt::format("{} is {}: expected 1 to {} ms", what, ms, kLongest));
  return std::chrono::milliseconds(ms);
}

std::size_t bytes_in(const wire::Statement& statement) {
  std::size_t bytes = sizeof statement + statement.sql.size();
  for (const auto& value : statement.parameters)
    bytes += size_of(value);
  return bytes;
}

}  // namespace troth::coordinator
