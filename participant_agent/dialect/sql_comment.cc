#include "participant_agent/dialect/sql_comment.h"

namespace troth::agent {
namespace {

bool stands_for_itself(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

void append(std::string& comment, std::string_view key, std::string_view value) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (value.empty()) return;
  comment += comment.empty() ? "/*" : ",";
  comment += key;
  comment += "='";
  for (const char c : value) {
    if (stands_for_itself(c)) {
      comment += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    comment += '%';
    comment += kDigits[byte >> 4];
    comment += kDigits[byte & 0xf];
  }
  comment += '\'';
}

}  // namespace

std::string sql_comment(const CommentParts& parts, const CommentValues& values) {
  std::string comment;
  if (parts.label) append(comment, "label", values.label);
  if (parts.traceparent) append(comment, "traceparent", values.traceparent);
  if (parts.transaction) append(comment, "transaction", values.transaction);
  if (!comment.empty()) comment += "*/ ";
  return comment;
}

}  // namespace troth::agent
