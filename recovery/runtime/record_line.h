// recovery/runtime/record_line.h
//
// A record in words: what it is, then its fields as logfmt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/logfmt.h"

namespace troth::recovery {

class RecordLine {
 public:
  explicit RecordLine(std::string_view what) : text_(what) {}
  RecordLine& with(std::string_view key, std::string_view value) {
    append_logfmt(text_, {key, value});
    return *this;
  }
  RecordLine& with(std::string_view key, std::uint64_t value) {
    append_logfmt(text_, {key, value});
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

[[nodiscard]] std::string position_text(const Position& position);
[[nodiscard]] std::string key_text(const RequestKey& key);

}  // namespace troth::recovery
