// recovery/runtime/console.h
//
// Where the tool's answer goes: text for people, or one JSON document (with --json), always on standard
// output. In text mode a failed call is told on standard error; in JSON mode it is the document, {"error":
// {...}}.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "recovery/exit_code.h"

namespace troth::recovery {

using Json = nlohmann::ordered_json;

class Console {
 public:
  Console(std::ostream& output, std::ostream& errors, bool json)
      : output_(output), errors_(errors), json_(json) {}

  [[nodiscard]] bool wants_json() const { return json_; }

  // Only what is asked for is made: the text in text mode, the document in JSON mode.
  template <typename MakeText, typename MakeJson>
  void answer(MakeText text, MakeJson json) {
    if (json_) {
      print_json(json());
    } else {
      print_text(text());
    }
  }
  void print_text(std::string_view text);
  void print_json(const Json& document);
  // One document per line, for output without an end.
  void print_json_line(const Json& document);
  // What happens meanwhile, on standard error, at once.
  void note(std::string_view text);
  // What was printed reaches whoever reads it, now. False: nobody does any more.
  bool flush();

  // What stands beside an error.
  struct Beside {
    std::string advice{};       // for people: what to do; empty: the usual
    std::string request_id{};   // in JSON: the key to ask again with; may be empty
    std::string place{};        // for people: before the place that the error names; may be empty
    std::string effect{};       // for people: in place of the usual words; may be empty
    std::string transaction{};  // for people: what became of the transaction around the call; may be empty
  };
  // Tells the error with its place, effect and what to do, and returns its exit code.
  [[nodiscard]] ExitCode complain(const Error& error, const Beside& beside);
  [[nodiscard]] ExitCode complain(const Error& error) { return complain(error, Beside{}); }
  // The command line asks for something impossible.
  [[nodiscard]] ExitCode refuse_usage(std::string_view problem);

 private:
  std::ostream& output_;
  std::ostream& errors_;
  bool json_;
};

[[nodiscard]] Json json_of(const Error& error);

}  // namespace troth::recovery
