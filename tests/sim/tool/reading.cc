#include "tests/sim/tool/reading.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <map>

#include "tests/sim/core/trace.h"

namespace troth::sim {
namespace {

// A line of a trace, taken apart.
struct Line {
  std::string_view all;  // but the time
  std::string_view who;
  std::string_view rest;

  explicit Line(std::string_view line) {
    if (line.size() <= Trace::kWhoColumn) return;
    line.remove_prefix(Trace::kWhoColumn);
    all = line;
    const auto end = std::min(line.find(' '), line.size());
    who = line.substr(0, end);
    rest = line.substr(std::min(line.find_first_not_of(' ', end), line.size()));
  }
};

bool is_part_of_word(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-';
}

// As a word of its own. Behind a transaction's id a resource's tag (.s1) may stand.
bool has_word(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto behind = text.substr(at + word.size());
    const bool begins = at == 0 || (!is_part_of_word(text[at - 1]) && text[at - 1] != '.');
    const bool ends = behind.empty() || behind.starts_with(".s") || behind.starts_with(". ") ||
                      (!is_part_of_word(behind[0]) && behind[0] != '.');
    if (begins && ends) return true;
  }
  return false;
}

constexpr std::size_t kRequestIdLetters = 36;
// As Simulation names its cluster.
constexpr std::string_view kCluster = "bank-sim001.";

bool is_request_id(std::string_view word) {
  return word.size() == kRequestIdLetters && std::ranges::all_of(word, [](char letter) {
           return letter == '-' || std::isxdigit(static_cast<unsigned char>(letter)) != 0;
         });
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  const auto is_in_word = [](char letter) { return is_part_of_word(letter) || letter == '.'; };
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!is_in_word(text[begin])) continue;
    auto end = begin;
    while (end < text.size() && is_in_word(text[end]))
      ++end;
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

bool is_context(const Line& line) {
  constexpr std::array<std::string_view, 18> kBeginnings{
      "boots",    "killed",        "power cut",     "crashes",     "starts",        "paused",
      "dies ",    "will die",      "will fail",     "is cut off",  "has a stalled", "has a full",
      "has room", "has a flipped", "fails to sync", "had a write", "may have lost", "loses all"};
  if (line.who == "fault" || line.who == "world" || line.who == "BROKEN") return true;
  return std::ranges::any_of(kBeginnings, [&](auto beginning) { return line.rest.starts_with(beginning); });
}

// Whoever asks again and again is left out from then on.
constexpr std::uint32_t kMostTimes = 3;

// What happens whether or not anything happens.
class Routine {
 public:
  bool has(const Line& line) {
    constexpr std::array<std::string_view, 5> kWords{": clean up", ": raise counter", ": agent_hello",
                                                     ": hello", ": delete markers -> done"};
    if (line.rest.find(" counter raised") != std::string_view::npos && line.rest.starts_with("logs #")) {
      counters_.insert({std::string(line.who), std::string(line.rest.substr(5, line.rest.find(' ', 5) - 5))});
      return true;
    }
    if (line.rest.starts_with("has on disk ")) {
      const auto number = line.rest.substr(std::string_view("has on disk ").size());
      return counters_.contains({std::string(line.who), std::string(number)});
    }
    if (line.rest.find(": heartbeat ") != std::string_view::npos)
      return line.rest.find(" ended") == std::string_view::npos &&
             line.rest.find(" error ") == std::string_view::npos;
    return std::ranges::any_of(kWords,
                               [&](auto word) { return line.rest.find(word) != std::string_view::npos; });
  }

 private:
  std::set<std::pair<std::string, std::string>> counters_;  // who wrote which record of one
};

// The transaction's id and its request's, whichever was given; each word that stands for it in some line.
std::set<std::string> names_of(const std::vector<std::string>& lines, const std::string& given) {
  const bool is_request = is_request_id(given);
  const auto name = is_request || given.starts_with(kCluster) ? given : std::string(kCluster) + given;
  std::set<std::string> names{name};
  for (const auto& line : lines) {
    const Line parts(line);
    if (!has_word(parts.rest, name)) continue;
    std::set<std::string_view> transactions;
    std::set<std::string_view> requests;
    for (const auto word : words_of(parts.rest)) {
      if (word.starts_with(kCluster)) transactions.insert(word);
      if (is_request_id(word)) requests.insert(word);
    }
    // A line that speaks of several says nothing of which belongs to which.
    if (is_request && transactions.size() == 1) names.emplace(*transactions.begin());
    if (!is_request && requests.size() == 1) names.emplace(*requests.begin());
  }
  return names;
}

}  // namespace

std::vector<std::string> wanted(const std::vector<std::string>& lines, const Reading& reading) {
  const auto names =
      reading.transaction.empty() ? std::set<std::string>() : names_of(lines, reading.transaction);
  Routine routine;
  std::map<std::string_view, std::uint32_t> times;
  std::vector<std::string> left;
  for (const auto& line : lines) {
    const Line parts(line);
    const bool is_of_all = is_context(parts);
    if (!reading.everything && (routine.has(parts) || (!is_of_all && ++times[parts.all] > kMostTimes)))
      continue;
    const bool is_of_node =
        reading.nodes.empty() || reading.nodes.contains(parts.who) ||
        std::ranges::any_of(reading.nodes, [&](const auto& node) { return has_word(parts.rest, node); });
    const bool is_of_transaction = names.empty() || std::ranges::any_of(names, [&](const auto& name) {
                                     return has_word(parts.rest, name);
                                   });
    if ((is_of_node && is_of_transaction) || is_of_all) left.push_back(line);
  }
  return left;
}

}  // namespace troth::sim
