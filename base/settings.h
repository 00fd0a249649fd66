// base/settings.h
//
// What a program can be told in its configuration file. A program writes one function that names each
// setting, its limits and its meaning; that function loads a file, checks it, shows what is in force and
// makes the reference page (settings_reference.h), so that these four cannot disagree:
//
//   void describe(Schema& schema, AgentSettings& settings) {
//     schema.text("listen", settings.listen, {.mandatory = true}, "host:port where coordinators call");
//     schema.section("limits", "What the agent refuses to exceed.", [&] {
//       schema.integer("sessions", settings.sessions, {.min = 1, .max = 500}, "database sessions at most");
//     });
//   }
//
// The values that the function finds in `settings` are the defaults. All problems of a file are reported at
// once, each with its line; a key that nobody asked for is refused with the nearest name.
// Limits bound what may be written; a default may lie outside them where "off" has no spelling.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/settings_document.h"

namespace troth {

// Where a password comes from. It is never in the file itself, on a command line, or in a log.
struct SecretSource {
  std::string file;         // its content up to the first line end
  std::string environment;  // name of an environment variable
  [[nodiscard]] bool is_set() const { return !file.empty() || !environment.empty(); }
};

struct TextLimits {
  bool mandatory = false;
  std::size_t max_bytes = 4096;
};

struct NumberLimits {
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

struct CountLimits {
  std::size_t min = 0;
  std::size_t max = 1000;
};

// One line of the reference page.
struct Setting {
  std::string key;
  std::string type;     // text, integer, duration, size, boolean, choice, path, secret, list of text
  std::string unit;     // ms, bytes, or empty
  std::string limits;   // in words, or empty
  std::string meaning;  // a sentence
  std::string initial;  // the default as TOML; empty when mandatory
  std::string value;    // what is in force, as TOML
  bool mandatory = false;
  bool written = false;  // stands in the file
};

struct SettingsSection {
  std::string name;  // empty: the top of the file
  std::string meaning;
  bool repeated = false;  // [[name]]
  bool absent = false;    // repeated, and the file has none: here for the reference page only
  std::vector<Setting> settings;
};

class Schema {
 public:
  // Reads from `document`, which must outlive this. An empty document leaves every default in place.
  explicit Schema(const SettingsDocument& document);

  // [name]. Sections stand side by side; they are not nested.
  void section(std::string_view name, std::string_view meaning, const std::function<void()>& describe);

  // [[name]], any number of times: `describe(T&)` is called for each, with T{} before it.
  template <typename T>
  void tables(std::string_view name, std::vector<T>& values, CountLimits limits, std::string_view meaning,
              const std::function<void(T&)>& describe) {
    values.clear();
    each_table(name, limits, meaning, [&](bool exists) {
      T value{};
      describe(value);
      if (exists) values.push_back(std::move(value));
    });
  }

  void text(std::string_view key, std::string& value, TextLimits limits, std::string_view meaning);
  // A relative path starts from the directory of the configuration file.
  void path(std::string_view key, std::string& value, TextLimits limits, std::string_view meaning);
  void boolean(std::string_view key, bool& value, std::string_view meaning);
  void text_list(std::string_view key, std::vector<std::string>& value, CountLimits limits,
                 std::string_view meaning);

  template <std::integral T>
  void integer(std::string_view key, T& value, NumberLimits limits, std::string_view meaning) {
    number(key, value, limits, meaning, {"integer", ""});
  }
  // The key's name ends in _ms.
  template <typename Rep, typename Period>
  void duration_ms(std::string_view key, std::chrono::duration<Rep, Period>& value, NumberLimits limits,
                   std::string_view meaning) {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(value).count();
    number(key, ms, limits, meaning, {"duration", "ms"});
    value = std::chrono::milliseconds(ms);
  }
  // Written as bytes, or as text with a unit: "64MiB".
  template <std::integral T>
  void size_bytes(std::string_view key, T& value, NumberLimits limits, std::string_view meaning) {
    number(key, value, limits, meaning, {"size", "bytes"});
  }

  // One of several words.
  template <typename E>
  struct Choice {
    std::string_view word;
    E value;
  };
  template <typename E>
  void choice(std::string_view key, E& value, std::initializer_list<Choice<E>> choices,
              std::string_view meaning) {
    std::vector<std::string_view> words;
    std::size_t chosen = 0;
    for (const auto& each : choices) {
      if (each.value == value) chosen = words.size();
      words.push_back(each.word);
    }
    choose(key, words, chosen, meaning);
    value = (choices.begin() + chosen)->value;
  }

  // Two keys, `<key>_file` and `<key>_env`, of which at most one may be given; `<key>` itself is refused.
  void secret(std::string_view key, SecretSource& value, TextLimits limits, std::string_view meaning);

  // A rule over several settings, stated after them: when broken, the problem is reported at `key`.
  void require(bool holds, std::string_view key, std::string_view problem);

  // Everything that is wrong with the document, one line each, or nothing. Call it after describing.
  [[nodiscard]] Status verdict();

  // What was described, section by section; a repeated section once per table (once, if there is none).
  [[nodiscard]] const std::vector<SettingsSection>& sections() const { return sections_; }

 private:
  struct Kind {
    std::string_view type;
    std::string_view unit;
  };
  struct Problem {
    int line = 0;
    std::string text;
  };

  void each_table(std::string_view name, CountLimits limits, std::string_view meaning,
                  const std::function<void(bool)>& describe);
  template <std::integral T>
  void number(std::string_view key, T& value, NumberLimits limits, std::string_view meaning, Kind kind) {
    limits.min = std::in_range<T>(limits.min) ? limits.min : 0;
    limits.max =
        std::in_range<T>(limits.max) ? limits.max : static_cast<std::int64_t>(std::numeric_limits<T>::max());
    auto wide = static_cast<std::int64_t>(value);
    read_number(key, wide, limits, meaning, kind);
    value = static_cast<T>(wide);
  }
  void read_number(std::string_view key, std::int64_t& value, NumberLimits limits, std::string_view meaning,
                   Kind kind);
  void choose(std::string_view key, const std::vector<std::string_view>& words, std::size_t& chosen,
              std::string_view meaning);

  // The value of this key in the present table, or null; the key counts as known from now on.
  const SettingsValue* take(std::string_view key);
  Setting& add(Setting setting, const SettingsValue* found);
  void refuse(int line, std::string_view key, std::string_view problem);
  void refuse_missing(std::string_view key);
  void refuse_unknown_keys();
  [[nodiscard]] std::string full_name(std::string_view key) const;
  // Describes one table as a section of its own and refuses what it does not know.
  void describe_table(const SettingsTable* table, int line, SettingsSection section,
                      const std::function<void()>& describe);

  // The table being described.
  struct Place {
    const SettingsTable* table = nullptr;  // null while the file does not have it
    int line = 0;
    std::size_t section = 0;         // in sections_
    std::vector<std::string> known;  // keys asked for so far
  };

  const SettingsDocument& document_;
  Place place_;
  std::vector<SettingsSection> sections_;
  std::vector<Problem> problems_;
};

// "67108864" -> "64MiB": the largest binary unit that loses nothing.
[[nodiscard]] std::string size_text(std::int64_t bytes);

// Loads `settings` from a document, or says everything that is wrong with it.
template <typename Settings>
[[nodiscard]] Status load_settings(const SettingsDocument& document, Settings& settings,
                                   void (*describe)(Schema&, Settings&)) {
  Schema schema(document);
  describe(schema, settings);
  return schema.verdict();
}

}  // namespace troth
