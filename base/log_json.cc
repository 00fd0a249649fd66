#include "base/log_json.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/utf8.h"

namespace troth {
namespace {

// The length of the UTF-8 character at the front of `text`; 0: its first byte begins none.
std::size_t character_at_front(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length)
    if (is_utf8(text.substr(0, length))) return length;
  return 0;
}

}  // namespace

void append_json_text(std::string& line, std::string_view text) {
  line += '"';
  while (!text.empty()) {
    const auto length = character_at_front(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0) {
      line += "\\ufffd";
    } else if (byte == '"' || byte == '\\') {
      line += '\\';
      line += text.front();
    } else if (byte == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\u{:04x}", byte);
    } else {
      line += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  line += '"';
}

void append_json(std::string& line, const LogField& field) {
  if (!line.empty()) line += ',';
  append_json_text(line, field.key);
  line += ':';
  std::visit(
      [&](const auto& value) {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::same_as<Value, std::string_view>) {
          append_json_text(line, value);
        } else if constexpr (std::same_as<Value, double>) {
          line += std::isfinite(value) ? fmt::format("{}", value) : "null";
        } else {
          line += fmt::format("{}", value);
        }
      },
      field.value);
}

}  // namespace troth
