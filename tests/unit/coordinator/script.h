// tests/unit/coordinator/script.h
//
// Golden scripts: text files in tests/scripts/<machine>/, one scenario each.
//
//   # A paragraph of intent, and the rules it covers.
//
//   > an input            what happens
//     an effect           everything that comes out of it, in order
//     another effect
//
// A machine's test says how its inputs are read and how its effects are written.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace troth {

struct ScriptStep {
  int line = 0;
  std::string input;
  std::vector<std::string> effects;
};

struct Script {
  std::string intent;
  std::vector<ScriptStep> steps;
};

// Takes one input and says what came out.
class ScriptedMachine {
 public:
  virtual ~ScriptedMachine() = default;
  virtual std::vector<std::string> apply(const std::string& input) = 0;
};

// Paths of a machine's scripts, sorted. Tests run in the repository's root.
std::vector<std::string> scripts_of(const std::string& machine);
// Fails the running test where effects differ, naming file and line.
void run_script(const std::string& path, ScriptedMachine& machine);
std::string script_name(const testing::TestParamInfo<std::string>& info);

// An input's words, taken from the front.
class Words {
 public:
  explicit Words(const std::string& line);
  [[nodiscard]] bool empty() const { return words_.empty(); }
  [[nodiscard]] const std::string& peek() const;
  std::string next();
  std::uint64_t number();
  // Takes `phrase` (words with blanks between) if it comes next.
  bool accept(const std::string& phrase);
  // Fails the test on an input that nobody understands.
  void expect_end(const std::string& line) const;

 private:
  std::deque<std::string> words_;
};

}  // namespace troth
