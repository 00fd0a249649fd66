#include "tests/unit/coordinator/script.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace troth {
namespace {

Script read_script(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  Script script;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    if (text.empty()) continue;
    if (text[0] == '#') {
      if (script.steps.empty()) script.intent += text.substr(1) + "\n";
    } else if (text.starts_with("> ")) {
      script.steps.push_back({line, text.substr(2), {}});
    } else if (text.starts_with("  ") && !script.steps.empty()) {
      script.steps.back().effects.push_back(text.substr(2));
    } else {
      ADD_FAILURE() << path << ":" << line << ": neither '# intent', '> input' nor '  effect'";
    }
  }
  return script;
}

// Everything as it stands, but each input's effects.
void rewrite_script(const std::string& path, const std::vector<std::vector<std::string>>& effects) {
  std::ifstream file(path);
  std::ostringstream rewritten;
  std::size_t input = 0;
  for (std::string text; std::getline(file, text);) {
    if (text.starts_with("  ")) continue;
    rewritten << text << '\n';
    if (!text.starts_with("> ")) continue;
    for (const auto& effect : effects.at(input++))
      rewritten << "  " << effect << '\n';
  }
  file.close();
  std::ofstream(path) << rewritten.str();
}

}  // namespace

std::vector<std::string> scripts_of(const std::string& machine) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/scripts/" + machine))
    if (entry.path().extension() == ".txt") paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  return paths;
}

void run_script(const std::string& path, ScriptedMachine& machine) {
  const auto script = read_script(path);
  EXPECT_GT(script.intent.size(), 80U) << path << " must open with a paragraph that says why";
  const bool names_rule = std::ranges::any_of(std::array{"[T", "[C", "ttack "}, [&](const char* mark) {
    return script.intent.find(mark) != std::string::npos;
  });
  EXPECT_TRUE(names_rule) << path << " must name the rules or attacks it covers";
  EXPECT_FALSE(script.steps.empty()) << path;
  const char* rewrite = std::getenv("TROTH_REWRITE_SCRIPTS");
  const bool rewrites = rewrite != nullptr && std::string_view(rewrite) == "1";
  std::vector<std::vector<std::string>> asked;
  for (const auto& step : script.steps) {
    const auto effects = machine.apply(step.input);
    asked.push_back(effects);
    if (!rewrites) {
      EXPECT_EQ(effects, step.effects) << path << ":" << step.line << ": > " << step.input;
    }
  }
  if (rewrites) rewrite_script(path, asked);
}

std::string script_name(const testing::TestParamInfo<std::string>& info) {
  auto name = std::filesystem::path(info.param).stem().string();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

Words::Words(const std::string& line) {
  std::istringstream stream(line);
  for (std::string word; stream >> word;)
    words_.push_back(word);
}

const std::string& Words::peek() const {
  static const std::string kNone;
  return words_.empty() ? kNone : words_.front();
}

std::string Words::next() {
  if (words_.empty()) {
    ADD_FAILURE() << "an input ends too early";
    return {};
  }
  auto word = words_.front();
  words_.pop_front();
  return word;
}

std::uint64_t Words::number() {
  const auto word = next();
  const bool digits =
      !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits) {
    ADD_FAILURE() << "'" << word << "' is no number";
    return 0;
  }
  return std::stoull(word);
}

bool Words::accept(const std::string& phrase) {
  const Words wanted(phrase);
  if (wanted.words_.size() > words_.size()) return false;
  if (!std::equal(wanted.words_.begin(), wanted.words_.end(), words_.begin())) return false;
  words_.erase(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(wanted.words_.size()));
  return true;
}

void Words::expect_end(const std::string& line) const {
  EXPECT_TRUE(words_.empty()) << "not understood: '" << peek() << "' in '" << line << "'";
}

}  // namespace troth
