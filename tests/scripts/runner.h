// tests/scripts/runner.h
//
// Golden scripts: one scenario of one machine each, as text that reads like a story.
//
//   # Why this scenario matters, and the rules it covers. Opens every script.
//
//   > what the machine hears
//   an effect it asks for
//   another, in their order
//
// A line beginning with `>` is heard; the lines up to the next empty one are all that the machine may ask
// for. `TROTH_REWRITE_SCRIPTS=1` writes what was asked for into the script instead; read the difference
// before you commit it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace troth {

// One machine in one scenario, in words.
class ScriptedMachine {
 public:
  virtual ~ScriptedMachine() = default;
  // What is heard -> what is asked for, one line each. Throws std::invalid_argument for words it does not
  // know.
  virtual std::vector<std::string> hear(const std::string& words) = 0;
};

inline std::vector<std::string> scripts_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().string());
  }
  std::ranges::sort(names);
  return names;
}

// For INSTANTIATE_TEST_SUITE_P: the script's file name is the test's name.
inline std::string script_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

inline void run_script(const std::string& path, ScriptedMachine& machine) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " cannot be read";
  std::ostringstream actual;
  std::ostringstream expected;
  std::string line;
  bool opened = false;
  bool copying = true;  // comments and empty lines stand as they are; effects are replaced by what came
  while (std::getline(file, line)) {
    expected << line << '\n';
    if (line.starts_with('>')) {
      ASSERT_TRUE(opened) << path << " must open with a paragraph of intent (lines beginning with #)";
      actual << line << '\n';
      for (const auto& effect : machine.hear(line.substr(std::min<std::size_t>(2, line.size()))))
        actual << effect << '\n';
      copying = false;
    } else if (line.empty() || line.starts_with('#')) {
      opened = opened || line.starts_with('#');
      actual << line << '\n';
      copying = true;
    } else {
      ASSERT_FALSE(copying) << path << ": an effect that nothing was heard for: " << line;
    }
  }
  const char* rewrite = std::getenv("TROTH_REWRITE_SCRIPTS");
  if (rewrite != nullptr && std::string(rewrite) == "1") {
    file.close();
    std::ofstream(path) << actual.str();
    return;
  }
  EXPECT_EQ(expected.str(), actual.str()) << path;
}

}  // namespace troth
