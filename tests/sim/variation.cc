#include "tests/sim/variation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace troth::sim {
namespace {

constexpr std::string_view kStrikes = "strikes";

template <auto Member>
constexpr Knob number(std::string_view name, std::uint64_t least = 0, bool has_steps = false) {
  return {name, [](const Swarm& swarm) { return static_cast<std::uint64_t>(swarm.*Member); },
          [](Swarm& swarm, std::uint64_t value) {
            swarm.*Member = static_cast<std::remove_reference_t<decltype(swarm.*Member)>>(value);
          },
          least, has_steps};
}

template <auto Member>
constexpr Knob rate(std::string_view name) {
  return {
      name, [](const Swarm& swarm) { return std::uint64_t{swarm.network.*Member}; },
      [](Swarm& swarm, std::uint64_t value) { swarm.network.*Member = static_cast<std::uint32_t>(value); }};
}

template <auto Member>
constexpr Knob milliseconds(std::string_view name, std::uint64_t least) {
  return {name,
          [](const Swarm& swarm) { return static_cast<std::uint64_t>((swarm.*Member).count() / 1'000); },
          [](Swarm& swarm, std::uint64_t value) {
            swarm.*Member = Duration(static_cast<std::int64_t>(value) * 1'000);
          },
          least, true};
}

// Those whose least makes a run shorter come first.
constexpr std::array kKnobs{
    milliseconds<&Swarm::safety>("safety_ms", 1),
    number<&Swarm::clients>("clients", 1, true),
    number<&Swarm::transfers>("transfers", 1, true),
    rate<&NetworkFaults::lost>("lost"),
    rate<&NetworkFaults::doubled>("doubled"),
    rate<&NetworkFaults::late>("late"),
    rate<&NetworkFaults::reset>("reset"),
    rate<&NetworkFaults::full>("full"),
    number<&Swarm::database_breaks>("database_breaks"),
    number<&Swarm::mistakes>("mistakes"),
    number<&Swarm::drift_ppm>("drift_ppm"),
    number<&Swarm::coordinators>("coordinators"),
    number<&Swarm::spares>("spares"),
    number<&Swarm::agents>("agents", 1),
    number<&Swarm::accounts>("accounts", 2, true),
    number<&Swarm::one_phase>("one_phase"),
    number<&Swarm::interactive>("interactive"),
    number<&Swarm::decided>("decided"),
    number<&Swarm::bars>("bars"),
    number<&Swarm::impatient>("impatient"),
    number<&Swarm::repeats>("repeats"),
    number<&Swarm::audits>("audits"),
    number<&Swarm::small_segments>("small_segments"),
    number<&Swarm::short_retention>("short_retention"),
};

const Knob* find(std::string_view name) {
  const auto* const found = std::ranges::find(kKnobs, name, &Knob::name);
  return found == kKnobs.end() ? nullptr : found;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(at), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::unexpected<Error> refused(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

Result<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > UINT32_MAX)
    return refused(fmt::format("'{}' is no number from 0 to {}", text, UINT32_MAX));
  return value;
}

}  // namespace

std::span<const Knob> knobs() {
  return kKnobs;
}

std::string Variation::text() const {
  std::vector<std::string> parts;
  parts.reserve(numbers.size() + 1);
  for (const auto& [name, value] : numbers)
    parts.push_back(fmt::format("{}={}", name, value));
  if (strikes) parts.push_back(fmt::format("{}={}", kStrikes, fmt::join(*strikes, "+")));
  return fmt::format("{}", fmt::join(parts, ","));
}

Result<Variation> Variation::read(std::string_view text) {
  Variation variation;
  for (const auto part : split(text, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) return refused(fmt::format("'{}' is no NAME=VALUE", part));
    const auto name = part.substr(0, equals);
    const auto value = part.substr(equals + 1);
    if (name == kStrikes) {
      auto& strikes = variation.strikes.emplace();
      for (const auto each : split(value, '+')) {
        const auto strike = number_of(each);
        if (!strike) return std::unexpected(strike.error());
        strikes.insert(static_cast<std::uint32_t>(*strike));
      }
      continue;
    }
    const auto* knob = find(name);
    if (knob == nullptr) {
      std::vector<std::string_view> names;
      names.reserve(kKnobs.size());
      for (const auto& each : kKnobs)
        names.push_back(each.name);
      return refused(
          fmt::format("'{}' cannot be set; what can: {}, {}", name, fmt::join(names, ", "), kStrikes));
    }
    const auto number = number_of(value);
    if (!number) return std::unexpected(number.error());
    if (*number < knob->least) return refused(fmt::format("{} is at least {}", name, knob->least));
    variation.numbers[std::string(name)] = *number;
  }
  return variation;
}

Swarm varied(Swarm swarm, const Variation& variation) {
  for (const auto& [name, value] : variation.numbers)
    find(name)->write(swarm, value);
  return swarm;
}

}  // namespace troth::sim
