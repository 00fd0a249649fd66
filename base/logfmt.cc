#include "base/logfmt.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth {
namespace {

bool needs_quotes(std::string_view text) {
  return text.empty() || std::ranges::any_of(text, [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f;
         });
}

void append_text(std::string& line, std::string_view text) {
  if (!needs_quotes(text)) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void append_logfmt(std::string& line, const LogField& field) {
  if (!line.empty()) line += ' ';
  line += field.key;
  line += '=';
  std::visit(
      [&](const auto& value) {
        if constexpr (std::same_as<std::decay_t<decltype(value)>, std::string_view>) {
          append_text(line, value);
        } else {
          line += fmt::format("{}", value);
        }
      },
      field.value);
}

}  // namespace troth
