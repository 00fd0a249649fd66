// base/logfmt.h
//
// `key=value key="two words"`: the one line format that logs and ready lines are written in.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/time.h"

namespace troth {

// One named value. It refers to text that the caller owns, so that a line which is not written costs nothing:
// use it inside the call that writes it, and nowhere else.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const std::string& text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool truth) : key(name), value(truth) {}
  LogField(std::string_view name, std::floating_point auto number)
      : key(name), value(static_cast<double>(number)) {}
  LogField(std::string_view name, std::signed_integral auto number)
      : key(name), value(static_cast<std::int64_t>(number)) {}
  LogField(std::string_view name, std::unsigned_integral auto number)
      : key(name), value(static_cast<std::uint64_t>(number)) {}
  template <typename Tag, typename T>
  LogField(std::string_view name, const Named<Tag, T>& id) : LogField(name, id.value) {}
};

// Appends ` key=value` (without the space at the beginning of a line). Control characters are escaped, so
// that one event is always one line, whatever a client or a database sent.
void append_logfmt(std::string& line, const LogField& field);

}  // namespace troth
