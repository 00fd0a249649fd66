// base/runtime/process.h
//
// What every server's main shares: command line, configuration, data directory, event loop, clean shutdown.
//
//   int main(int argc, char** argv) {
//     AgentSettings settings;
//     return troth::run_program({.name = "troth-agent",
//                                .purpose = "...",
//                                .kind = OwnerKind::kAgent,
//                                .crash_points = kCrashPoints,
//                                .describe = [&](Schema& schema) { describe(schema, settings); },
//                                .run = [&](Process& process) { return serve(process, settings); }},
//                               argc, argv);
//   }
//
// `run` opens what it needs, registers on_stop(), calls ready() once it serves, and returns what run_loop()
// returned. SIGTERM and SIGINT call on_stop() on the loop's thread: the program stops taking work, closes,
// and calls finish(). A shutdown that takes longer than shutdown_timeout_ms, or a second signal, ends the
// process at once; that is safe, as every crash is.
//
// Exit codes: 0 stopped as asked; 1 could not go on (the reason is the last line on standard error);
//             2 command line or configuration.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/logfmt.h"
#include "base/runtime/crash_points.h"
#include "base/runtime/data_directory.h"
#include "base/runtime/log.h"
#include "base/runtime/metrics.h"
#include "base/settings.h"

namespace asio {
class io_context;
}

namespace troth {

// The settings that every server has, in front of its own.
struct ProcessSettings {
  std::string data_directory;
  std::chrono::milliseconds shutdown_timeout{10'000};
  LogSettings log;
  CrashSettings crash;
};

void describe(Schema& schema, ProcessSettings& settings);

class Process {
 public:
  Process(std::string_view program, const ProcessSettings& settings, DataDirectory data);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] asio::io_context& loop();
  [[nodiscard]] DataDirectory& data() { return data_; }

  // Called once, on the loop's thread, at the first SIGTERM or SIGINT.
  void on_stop(std::function<void()> stop);

  // Says that this process serves: a line `ready address=127.0.0.1:40123 program=troth-agent ...` on standard
  // output, and READY to systemd. What is empty of `more` is left out.
  void ready(std::string_view address, std::initializer_list<LogField> more = {});

  // Runs the loop on this thread until finish(). Returns what finish() was given.
  [[nodiscard]] Status run_loop();

  // From any thread. An error means that this process cannot go on (a failed disk, a lost resource).
  void finish(Status outcome = {});

 private:
  struct Loop;
  std::string program_;
  std::chrono::milliseconds shutdown_timeout_;
  DataDirectory data_;
  std::unique_ptr<Loop> loop_;
};

struct Program {
  std::string_view name;     // "troth-agent"
  std::string_view purpose;  // one line, for --help
  OwnerKind kind;
  std::span<const std::string_view> crash_points;
  MetricTables metrics;
  std::function<void(Schema&)> describe;
  std::function<Status(Process&)> run;
};

// The whole of main().
[[nodiscard]] int run_program(const Program& program, int argc, char** argv);

}  // namespace troth
