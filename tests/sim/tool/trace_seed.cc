// One seed and its trace.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/sim/tool/arguments.h"
#include "tests/sim/tool/crew.h"
#include "tests/sim/tool/knowledge.h"

namespace troth::sim {
namespace {

constexpr std::chrono::seconds kLongestTraced{600};

// Lines that somebody else reads even when the process that writes them dies.
class SharedLines {
 public:
  SharedLines() : file_(std::tmpfile()) {
    CHECK(file_ != nullptr, "no temporary file");
    std::setvbuf(file_, nullptr, _IOLBF, 1U << 16);
  }
  ~SharedLines() { std::fclose(file_); }
  SharedLines(const SharedLines&) = delete;
  SharedLines& operator=(const SharedLines&) = delete;

  void write(std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), file_);
    std::fputc('\n', file_);
  }
  [[nodiscard]] std::vector<std::string> read() {
    std::fseek(file_, 0, SEEK_SET);
    std::vector<std::string> lines(1);
    for (int letter = std::fgetc(file_); letter != EOF; letter = std::fgetc(file_)) {
      if (letter == '\n')
        lines.emplace_back();
      else
        lines.back() += static_cast<char>(letter);
    }
    lines.pop_back();
    return lines;
  }

 private:
  std::FILE* file_;
};

}  // namespace

int trace_seed(const Arguments& arguments) {
  SharedLines lines;
  SharedLines known;
  const auto outcome = run_apart(arguments.seed, kLongestTraced, [&](std::uint64_t seed) {
    Simulation simulation(seed, arguments.variation, [&](std::string_view line) { lines.write(line); });
    auto result = simulation.run();
    if (!result.broken.empty())
      for (const auto& line : what_is_known(simulation, result.broken))
        known.write(line);
    return result;
  });
  const auto all = lines.read();
  const auto left = wanted(all, arguments.reading);
  for (const auto& line : left)
    fmt::print("{}\n", line);
  if (left.size() < all.size())
    fmt::print("({} of {} lines; --all has those that happen all the time, or again and again)\n",
               left.size(), all.size());
  fmt::print("\nseed {}: {} events, hash {:016x}, {} of {} transfers committed\n", outcome.seed,
             outcome.events, outcome.hash, outcome.committed, outcome.transfers);
  for (const auto& broken : outcome.broken)
    fmt::print("BROKEN {}\n", broken);
  for (const auto& line : known.read())
    fmt::print("  {}\n", line);
  return outcome.broken.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace troth::sim
