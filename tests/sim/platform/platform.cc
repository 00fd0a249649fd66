// What a program asks of its machine: the clocks, randomness, its log and audit trail, where to die.
#include <string>

#include <fmt/format.h>

#include "base/log_json.h"
#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/crash_points.h"
#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "base/runtime/monitor.h"
#include "tests/sim/core/node.h"

namespace troth {

using sim::Node;
using sim::Purpose;

Instant boot_now() {
  auto& node = Node::current();
  return node.clock().boot(node.world().now());
}

WallTime wall_now() {
  auto& node = Node::current();
  return node.clock().wall(node.world().now());
}

void reach_crash_point(std::string_view name) {
  Node::current().reach(name);
}

void fill_random(std::span<std::byte> bytes) {
  auto& random = Node::current().world().random(Purpose::kEntropy);
  for (auto& byte : bytes)
    byte = static_cast<std::byte>(random.below(256));
}

std::uint64_t random_nonce() {
  const auto nonce = Node::current().world().random(Purpose::kEntropy).next();
  return nonce == 0 ? 1 : nonce;
}

std::string random_text(std::size_t length, std::string_view alphabet) {
  return Node::current().world().random(Purpose::kEntropy).text(length, alphabet);
}

// ---- the log: each line is an event of the run

bool log_enabled(LogLevel) {
  return true;
}

void log_event(LogLevel, std::string_view what, std::span<const LogField> fields) {
  auto& node = Node::current();
  auto& world = node.world();
  world.trace().event(world.now(), node.name(), what, fields.size(), [&] {
    std::string line;
    for (const auto& field : fields)
      append_logfmt(line, field);
    return line;
  });
}

// Every line passes: what one run held back must not change the next one.
bool LogLimit::take(std::uint64_t& held_back) {
  held_back = 0;
  return true;
}

void log_limited(LogLimit&, LogLevel level, std::string_view what, std::span<const LogField> fields) {
  log_event(level, what, fields);
}

LogCounts log_counts() {
  return {};
}

Status append_audit(const std::string&, WallTime, std::string_view action,
                    std::initializer_list<LogField> fields, AuditLine) {
  log_event(LogLevel::kInfo, action, fields);
  return {};
}

// ---- nobody looks over HTTP

class Monitor::Core {};

Monitor::~Monitor() = default;

Result<std::unique_ptr<Monitor>> Monitor::open(asio::io_context&, Metrics&, Options) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              "the simulator has no HTTP: leave http_listen empty");
}

const std::string& Monitor::address() const {
  static const std::string none;
  return none;
}

}  // namespace troth
