// troth log verify, troth log dump: a log directory, read-only, while its owner runs or not.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/log_verdict.h"
#include "recovery/runtime/record_text.h"
#include "recovery/text_table.h"
#include "txlog/runtime/inspect.h"

namespace troth::recovery {
namespace {

// Of each payload, in the dump for people; JSON has all of it.
constexpr std::size_t kShownBytes = 32;

std::string hex_of(txlog::Bytes bytes) {
  std::string hex;
  for (const auto byte : bytes)
    hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return hex;
}

std::string shown(txlog::Bytes payload) {
  if (payload.size() <= kShownBytes) return hex_of(payload);
  return hex_of(payload.first(kShownBytes)) + "...";
}

// ---- the verdict

ExitCode exit_code_of(const txlog::InspectReport& report) {
  return std::holds_alternative<txlog::CleanEnd>(report.verdict) ? ExitCode::kDone : ExitCode::kAttention;
}

std::string text_of(const txlog::InspectReport& report) {
  std::string text;
  if (report.identity)
    text += fmt::format("log of {} in cluster {}\n", report.identity->owner, report.identity->cluster.value);
  text += fmt::format("{}, {}, {}, {} bytes of payload; next sequence {}{}\n",
                      counted(static_cast<std::int64_t>(report.segments), "segment"),
                      counted(static_cast<std::int64_t>(report.batches), "batch", "batches"),
                      counted(static_cast<std::int64_t>(report.records), "record"), report.payload_bytes,
                      report.next_sequence.value, report.live ? "; its owner runs" : "");
  if (report.unsettled_cut.value != 0)
    text +=
        fmt::format("an earlier cut from sequence {} on is not settled yet\n", report.unsettled_cut.value);
  return text + words_of(report.verdict).text + "\n";
}

Json json_of(const txlog::InspectReport& report) {
  const auto words = words_of(report.verdict);
  Json json{{"verdict", words.name},
            {"detail", words.text},
            {"owner", nullptr},
            {"cluster", nullptr},
            {"live", report.live},
            {"segments", report.segments},
            {"batches", report.batches},
            {"records", report.records},
            {"payload_bytes", report.payload_bytes},
            {"oldest_segment", report.oldest_segment.value},
            {"next_sequence", report.next_sequence.value},
            {"unsettled_cut", report.unsettled_cut.value}};
  if (report.identity) {
    json["owner"] = report.identity->owner;
    json["cluster"] = report.identity->cluster.value;
  }
  return json;
}

// ---- the dump, a line at a time

struct TextLine {
  std::string owner;  // of the segment that the lines are in; set by its line

  std::string operator()(const txlog::SegmentLine& line) {
    if (line.header) owner = line.header->identity.owner;
    return fmt::format("segment {} {} {}{}{}\n", line.number.value, txlog::name_of(line.state), line.path,
                       line.what.empty() ? "" : ": ", line.what);
  }
  std::string operator()(const txlog::BatchLine& line) const {
    return fmt::format("  batch {} at {} records={} bytes={}{}\n", line.frame.number.value, line.offset,
                       line.frame.records, line.frame.bytes, line.superseded ? " superseded" : "");
  }
  std::string operator()(const txlog::RecordLine& line) const {
    const auto words = record_text(owner, line.sequence, line.type, line.payload);
    return fmt::format("    {} {}{}\n", line.sequence.value,
                       words.empty() ? fmt::format("type={} bytes={} {}", line.type.number,
                                                   line.payload.size(), shown(line.payload))
                                     : words,
                       line.checksum_holds ? "" : " DAMAGED");
  }
  std::string operator()(const txlog::DamageLine& line) const {
    return fmt::format("  DAMAGE at {}: {}\n", line.offset, line.what);
  }
};

struct JsonLine {
  std::string owner;

  Json operator()(const txlog::SegmentLine& line) {
    if (line.header) owner = line.header->identity.owner;
    return {{"line", "segment"},
            {"segment", line.number.value},
            {"path", line.path},
            {"state", txlog::name_of(line.state)},
            {"detail", line.what}};
  }
  Json operator()(const txlog::BatchLine& line) const {
    return {{"line", "batch"},
            {"segment", line.segment.value},
            {"offset", line.offset},
            {"batch", line.frame.number.value},
            {"records", line.frame.records},
            {"bytes", line.frame.bytes},
            {"superseded", line.superseded}};
  }
  Json operator()(const txlog::RecordLine& line) const {
    return {{"line", "record"},
            {"segment", line.segment.value},
            {"offset", line.offset},
            {"sequence", line.sequence.value},
            {"type", line.type.number},
            {"text", record_text(owner, line.sequence, line.type, line.payload)},
            {"payload", hex_of(line.payload)},
            {"checksum_holds", line.checksum_holds}};
  }
  Json operator()(const txlog::DamageLine& line) const {
    return {
        {"line", "damage"}, {"segment", line.segment.value}, {"offset", line.offset}, {"detail", line.what}};
  }
};

}  // namespace

ExitCode run(const LogCommand& command, const Surroundings&, Console& console) {
  const bool dump = command.what == LogCommand::What::kDump;
  TextLine text;
  JsonLine json;
  const auto print = [&](const txlog::DumpLine& line) {
    if (console.wants_json()) {
      console.print_json_line(std::visit(json, line));
    } else {
      console.print_text(std::visit(text, line));
    }
  };
  const auto report = dump ? txlog::dump(command.directory, print) : txlog::verify(command.directory);
  if (!report) return console.complain(report.error());
  if (!dump) {
    console.answer([&] { return text_of(*report); }, [&] { return json_of(*report); });
  } else if (console.wants_json()) {
    auto verdict = json_of(*report);
    verdict["line"] = "report";
    console.print_json_line(verdict);
  } else {
    console.print_text(text_of(*report));
  }
  return exit_code_of(*report);
}

}  // namespace troth::recovery
