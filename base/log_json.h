// base/log_json.h
//
// `"key":value`: a log line's field as JSON, for who collects lines with a parser.
#pragma once

#include <string>
#include <string_view>

#include "base/logfmt.h"

namespace troth {

// Appends `"key":value`, behind a comma unless it is the first. Always valid JSON: what is not UTF-8 becomes
// U+FFFD, byte by byte, and a number that JSON has no word for becomes null.
void append_json(std::string& line, const LogField& field);

void append_json_text(std::string& line, std::string_view text);

}  // namespace troth
