#include "recovery/runtime/console.h"

#include <ostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/text_table.h"

namespace troth::recovery {
namespace {

std::string place_of(const Error& error) {
  std::string place;
  const auto add = [&](std::string part) { place += (place.empty() ? "" : ", ") + std::move(part); };
  if (!error.resource.empty()) add(fmt::format("resource {}", error.resource));
  if (error.branch) add(fmt::format("branch {}", *error.branch));
  if (error.statement) add(fmt::format("statement {}", *error.statement));
  return place;
}

std::string database_words(const Error& error) {
  std::string words;
  const auto add = [&](std::string part) { words += (words.empty() ? "" : ", ") + std::move(part); };
  if (!error.sqlstate.empty()) add(fmt::format("SQLSTATE {}", error.sqlstate));
  if (error.vendor_code) add(fmt::format("code {}", *error.vendor_code));
  if (!error.constraint.empty()) add(fmt::format("constraint {}", error.constraint));
  return words;
}

std::string_view meaning_of(Effect effect) {
  switch (effect) {
    case Effect::kNone: return "nothing was changed anywhere, and nothing will be";
    case Effect::kApplied: return "it happened, although the call failed";
    case Effect::kUnknown: return "it may or may not have happened";
  }
  return "";
}

std::string retry_words(const Error& error) {
  if (!error.retryable) return {};
  return error.retry_after ? fmt::format("the same call may succeed; wait {} ms", error.retry_after->count())
                           : "the same call may succeed";
}

std::string_view usual_advice(const Error& error) {
  const bool nobody_there = error.code == ErrorCode::kUnavailable && error.effect == Effect::kNone;
  return nobody_there ? "see that the process runs, and that the address is right" : "";
}

}  // namespace

void Console::print_text(std::string_view text) {
  output_ << text;
  output_.flush();
}

void Console::print_json(const Json& document) {
  // What a database holds need not be UTF-8; the document always is.
  output_ << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  output_.flush();
}

void Console::print_json_line(const Json& document) {
  output_ << document.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

void Console::note(std::string_view text) {
  errors_ << text << '\n';
  errors_.flush();
}

bool Console::flush() {
  output_.flush();
  return output_.good();
}

Json json_of(const Error& error) {
  Json json{{"code", name_of(error.code)},
            {"effect", name_of(error.effect)},
            {"message", error.message},
            {"retryable", error.retryable}};
  if (!error.resource.empty()) json["resource"] = error.resource;
  if (error.branch) json["branch"] = *error.branch;
  if (error.statement) json["statement"] = *error.statement;
  if (!error.sqlstate.empty()) json["sqlstate"] = error.sqlstate;
  if (error.vendor_code) json["vendor_code"] = *error.vendor_code;
  if (!error.constraint.empty()) json["constraint"] = error.constraint;
  if (error.retry_after) json["retry_after_ms"] = error.retry_after->count();
  return json;
}

ExitCode Console::complain(const Error& error, const Beside& beside) {
  const auto code = exit_code_of(error);
  if (json_) {
    Json document{{"error", json_of(error)}};
    if (!beside.request_id.empty()) document["request_id"] = beside.request_id;
    print_json(document);
    return code;
  }
  std::string text = fmt::format("error: {}: {}\n", name_of(error.code), printable(error.message));
  const auto line = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("  {}: {}\n", name, value);
  };
  const auto place = place_of(error);
  line("where", beside.place + (beside.place.empty() || place.empty() ? "" : ", ") + place);
  line("database", database_words(error));
  line("effect", fmt::format("{}: {}", name_of(error.effect),
                             beside.effect.empty() ? meaning_of(error.effect) : beside.effect));
  line("transaction", beside.transaction);
  line("retry", retry_words(error));
  line("next", beside.advice.empty() ? usual_advice(error) : beside.advice);
  errors_ << text;
  return code;
}

ExitCode Console::refuse_usage(std::string_view problem) {
  if (json_) {
    print_json(Json{{"error", {{"code", "usage"}, {"effect", "none"}, {"message", problem}}}});
  } else {
    errors_ << fmt::format("error: {}\n", problem);
  }
  return ExitCode::kUsage;
}

}  // namespace troth::recovery
