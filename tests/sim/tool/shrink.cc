#include "tests/sim/tool/shrink.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"

namespace troth::sim {
namespace {

using Strikes = std::set<std::uint32_t>;

class Shrinking {
 public:
  Shrinking(const Variation& begin, const Outcome& failed, const Swarm& drawn, const ShrinkLimits& limits,
            const VariedRun& run)
      : drawn_(drawn),
        limits_(limits),
        run_(run),
        give_up_(std::chrono::steady_clock::now() + limits.time),
        invariant_(invariant_of(failed.broken.front())) {
    best_.variation = begin;
    best_.outcome = failed;
  }

  Shrunk work() {
    bool became_smaller = true;
    while (became_smaller && !is_spent()) {
      const bool fewer_strikes = leave_strikes_out();
      const bool smaller_numbers = lower_numbers();
      became_smaller = fewer_strikes || smaller_numbers;
    }
    best_.has_ended = !is_spent();
    return std::move(best_);
  }

 private:
  [[nodiscard]] bool is_spent() const {
    return best_.runs >= limits_.runs || std::chrono::steady_clock::now() >= give_up_;
  }

  // Whether it breaks the same; then it is the best.
  bool take(Variation variation) {
    if (is_spent()) return false;
    ++best_.runs;
    auto outcome = run_(variation);
    const bool breaks_it = std::ranges::any_of(
        outcome.broken, [&](const auto& broken) { return invariant_of(broken) == invariant_; });
    if (!breaks_it) return false;
    best_.variation = std::move(variation);
    best_.outcome = std::move(outcome);
    return true;
  }

  // A process that died told nothing of its strikes: then all that the seed could have.
  [[nodiscard]] Strikes strikes() const {
    if (best_.variation.strikes) return *best_.variation.strikes;
    constexpr std::uint32_t kUnknown = 64;
    const bool is_known = !best_.outcome.strikes.empty() || best_.outcome.events > 0;
    const auto count = is_known ? static_cast<std::uint32_t>(best_.outcome.strikes.size()) : kUnknown;
    Strikes all;
    for (std::uint32_t number = 1; number <= count; ++number)
      all.insert(number);
    return all;
  }

  bool take_strikes(Strikes strikes) {
    auto variation = best_.variation;
    variation.strikes = std::move(strikes);
    return take(std::move(variation));
  }

  bool leave_strikes_out() {
    const auto before = strikes();
    if (before.empty()) return false;
    if (take_strikes({})) return true;
    leave_kinds_out();
    for (std::size_t size = strikes().size() / 2; size > 0; size /= 2)
      leave_chunks_out(size);
    return strikes().size() < before.size();
  }

  void leave_kinds_out() {
    const auto kinds = best_.outcome.strikes;
    for (const auto& kind : std::set(kinds.begin(), kinds.end())) {
      auto left = strikes();
      std::erase_if(
          left, [&](std::uint32_t number) { return number <= kinds.size() && kinds[number - 1] == kind; });
      if (left.size() < strikes().size()) take_strikes(std::move(left));
    }
  }

  void leave_chunks_out(std::size_t size) {
    const auto all = strikes();
    std::vector<std::uint32_t> numbers(all.begin(), all.end());
    // The last first: what came after the break is the easiest to miss.
    std::ranges::reverse(numbers);
    for (std::size_t begin = 0; begin < numbers.size() && !is_spent(); begin += size) {
      auto left = strikes();
      for (std::size_t i = begin; i < std::min(begin + size, numbers.size()); ++i)
        left.erase(numbers[i]);
      if (left.size() < strikes().size()) take_strikes(std::move(left));
    }
  }

  bool lower_numbers() {
    bool became_smaller = false;
    for (const auto& knob : knobs()) {
      const auto now = [&] { return knob.read(varied(drawn_, best_.variation)); };
      if (now() <= knob.least) continue;
      const auto lower_to = [&](std::uint64_t value) {
        auto variation = best_.variation;
        variation.numbers[std::string(knob.name)] = value;
        return take(std::move(variation));
      };
      if (lower_to(knob.least)) {
        became_smaller = true;
        continue;
      }
      if (!knob.has_steps) continue;
      // The least that still breaks it lies between one that does not and one that does.
      auto too_low = knob.least;
      while (now() - too_low > std::max<std::uint64_t>(1, now() / 16) && !is_spent()) {
        const auto middle = too_low + (now() - too_low) / 2;
        if (lower_to(middle))
          became_smaller = true;
        else
          too_low = middle;
      }
    }
    return became_smaller;
  }

  const Swarm& drawn_;
  const ShrinkLimits& limits_;
  const VariedRun& run_;
  std::chrono::steady_clock::time_point give_up_;
  std::string invariant_;
  Shrunk best_;
};

}  // namespace

Shrunk shrink(const Variation& begin, const Outcome& failed, const Swarm& drawn, const ShrinkLimits& limits,
              const VariedRun& run) {
  CHECK(!failed.broken.empty(), "nothing is broken");
  return Shrinking(begin, failed, drawn, limits, run).work();
}

std::string invariant_of(std::string_view broken) {
  std::string name;
  bool is_node = false;  // in a word such as ag1; T6 and a CHECK's line are names
  for (const char letter : broken.substr(0, broken.find(':'))) {
    const auto character = static_cast<unsigned char>(letter);
    if (name.empty() || name.back() == ' ') is_node = std::islower(character) != 0;
    if (!is_node || std::isdigit(character) == 0) name += letter;
  }
  return name;
}

}  // namespace troth::sim
