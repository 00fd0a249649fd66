#include "base/settings_reference.h"

#include <fmt/format.h>

namespace troth {
namespace {

// '|' would end a cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string heading(const SettingsSection& section) {
  if (section.name.empty()) return "Top of the file";
  return section.repeated ? fmt::format("`[[{}]]`", section.name) : fmt::format("`[{}]`", section.name);
}

std::string row(const Setting& setting) {
  const auto type = setting.unit.empty() ? setting.type : fmt::format("{}, {}", setting.type, setting.unit);
  const auto initial = setting.mandatory ? std::string("mandatory") : fmt::format("`{}`", setting.initial);
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", setting.key, type, cell(setting.limits), cell(initial),
                     cell(setting.meaning));
}

}  // namespace

std::string settings_reference(std::string_view program, const Schema& schema) {
  std::string page = fmt::format(
      "# Settings of {0}\n\n"
      "One TOML file, given with `--config FILE`. Made by `{0} --settings-reference`; a test compares.\n"
      "Relative paths start from the directory of the file. `{0} --config FILE --check-config` prints what "
      "is\n"
      "in force, or everything that is wrong.\n",
      program);
  for (const auto& section : schema.sections()) {
    if (section.settings.empty()) continue;
    page += fmt::format("\n## {}\n\n", heading(section));
    if (!section.meaning.empty()) page += fmt::format("{}\n\n", section.meaning);
    page += "| key | type | limits | default | meaning |\n|---|---|---|---|---|\n";
    for (const auto& setting : section.settings)
      page += row(setting);
  }
  return page;
}

std::string settings_in_force(const Schema& schema) {
  std::string text;
  for (const auto& section : schema.sections()) {
    if (section.settings.empty() || section.absent) continue;
    if (!text.empty()) text += '\n';
    if (!section.name.empty())
      text += section.repeated ? fmt::format("[[{}]]\n", section.name) : fmt::format("[{}]\n", section.name);
    for (const auto& setting : section.settings)
      text += fmt::format("{} = {}{}\n", setting.key, setting.value, setting.written ? "" : "  # default");
  }
  return text;
}

}  // namespace troth
