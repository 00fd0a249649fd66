#include "bench/process_stat.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace troth::bench {
namespace {

// Fields of proc(5), counted from the state, which is the first one behind the name.
constexpr std::size_t kParent = 1;
constexpr std::size_t kUserTicks = 11;
constexpr std::size_t kSystemTicks = 12;
constexpr std::size_t kChildrenUserTicks = 13;
constexpr std::size_t kChildrenSystemTicks = 14;
constexpr std::size_t kFieldsNeeded = 15;

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) result.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

template <typename T>
bool parse_number(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<ProcessStat> parse_process_stat(std::string_view line) {
  const auto refused = [&] {
    return fail(ErrorCode::kCorrupt, Effect::kNone,
                fmt::format("not a line of /proc/<pid>/stat: '{}'", line));
  };
  // The name stands in parentheses and may itself hold spaces and parentheses: the last one closes it.
  const std::size_t name_begin = line.find(" (");
  const std::size_t name_end = line.rfind(')');
  if (name_begin == std::string_view::npos || name_end == std::string_view::npos || name_end < name_begin)
    return refused();
  const std::vector<std::string_view> fields = words(line.substr(name_end + 1));
  if (fields.size() < kFieldsNeeded) return refused();

  ProcessStat stat;
  std::array<std::uint64_t, 4> ticks{};
  if (!parse_number(line.substr(0, name_begin), stat.pid) || !parse_number(fields[kParent], stat.parent) ||
      !parse_number(fields[kUserTicks], ticks[0]) || !parse_number(fields[kSystemTicks], ticks[1]) ||
      !parse_number(fields[kChildrenUserTicks], ticks[2]) ||
      !parse_number(fields[kChildrenSystemTicks], ticks[3]))
    return refused();
  stat.own_ticks = ticks[0] + ticks[1];
  stat.children_ticks = ticks[2] + ticks[3];
  return stat;
}

Result<std::uint64_t> family_ticks(const std::vector<ProcessStat>& processes, std::int64_t root) {
  std::uint64_t ticks = 0;
  std::vector<std::int64_t> open = {root};
  bool root_found = false;
  while (!open.empty()) {
    const std::int64_t pid = open.back();
    open.pop_back();
    for (const ProcessStat& process : processes) {
      if (process.pid == pid) {
        ticks += process.own_ticks + process.children_ticks;
        root_found = root_found || pid == root;
      }
      if (process.parent == pid) open.push_back(process.pid);
    }
  }
  if (!root_found)
    return fail(ErrorCode::kUnavailable, Effect::kNone, fmt::format("process {} has gone", root));
  return ticks;
}

}  // namespace troth::bench
