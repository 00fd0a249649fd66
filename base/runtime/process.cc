#include "base/runtime/process.h"

#include <cstdio>
#include <optional>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/runtime/supervisor.h"

namespace troth {

void describe(Schema& schema, ProcessSettings& settings) {
  schema.path("data_directory", settings.data_directory, {.mandatory = true},
              "Where this process keeps its identity and its log; made by `init`.");
  schema.duration_ms("shutdown_timeout_ms", settings.shutdown_timeout, {.min = 100, .max = 600'000},
                     "How long a clean shutdown may take after SIGTERM; then the process ends at once.");
  schema.section("log", "What is written to standard error, one line per event.", [&] {
    schema.choice<LogFormat>("format", settings.log.format,
                             {{"logfmt", LogFormat::kLogfmt}, {"json", LogFormat::kJson}},
                             "How a line is written: `key=value`, or one JSON object.");
    schema.choice<LogLevel>("level", settings.log.level,
                            {{"debug", LogLevel::kDebug},
                             {"info", LogLevel::kInfo},
                             {"warning", LogLevel::kWarning},
                             {"error", LogLevel::kError}},
                            "Lines below this level are dropped.");
    schema.integer("lines_per_second", settings.log.lines_per_second, {.min = 1, .max = 100'000},
                   "Of each kind of line that a client can cause at will; what is held back is counted.");
  });
  schema.section("testing", "For tests of crashes only. Leave it out in production.", [&] {
    schema.text("crash_point", settings.crash.point, {.max_bytes = 100},
                "Where this process ends itself; `--list-crash-points` lists the names.");
    schema.choice<CrashAction>("crash_action", settings.crash.action,
                               {{"kill", CrashAction::kKill}, {"stop", CrashAction::kStop}},
                               "At the crash point: SIGKILL, or SIGSTOP until somebody sends SIGCONT.");
    schema.integer("crash_hit", settings.crash.hit, {.min = 1, .max = 1'000'000},
                   "The time of reaching the crash point that counts.");
  });
}

struct Process::Loop {
  asio::io_context context{1};
  // The loop runs until finish(), also while there is nothing to do.
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  asio::signal_set signals{context, SIGTERM, SIGINT};
  asio::steady_timer shutdown_limit{context};
  asio::steady_timer watchdog{context};
  std::function<void()> stop;
  bool stopping = false;
  std::optional<Status> outcome;

  void wait_for_signal(std::chrono::milliseconds shutdown_timeout) {
    signals.async_wait([this, shutdown_timeout](std::error_code problem, int signal) {
      if (problem) return;
      log_info("stopping", {{"signal", signal}});
      if (stopping) end_at_once("second signal");
      stopping = true;
      notify_stopping();
      shutdown_limit.expires_after(shutdown_timeout);
      shutdown_limit.async_wait([](std::error_code cancelled) {
        if (!cancelled) end_at_once("shutdown_timeout_ms passed");
      });
      wait_for_signal(shutdown_timeout);
      if (stop) {
        stop();
      } else {
        end({});
      }
    });
  }

  void keep_alive(Duration period) {
    notify_alive();
    watchdog.expires_after(period);
    watchdog.async_wait([this, period](std::error_code cancelled) {
      if (!cancelled) keep_alive(period);
    });
  }

  void end(Status why) {
    if (outcome) return;
    outcome = std::move(why);
    context.stop();
  }

  [[noreturn]] static void end_at_once(std::string_view why) {
    log_error("ended before the shutdown was complete", {{"reason", why}});
    ::_exit(1);
  }
};

Process::Process(std::string_view program, const ProcessSettings& settings, DataDirectory data)
    : program_(program),
      shutdown_timeout_(settings.shutdown_timeout),
      data_(std::move(data)),
      loop_(std::make_unique<Loop>()) {
  ::signal(SIGPIPE, SIG_IGN);  // a closed connection is an error of that connection
  loop_->wait_for_signal(shutdown_timeout_);
}

Process::~Process() = default;

asio::io_context& Process::loop() {
  return loop_->context;
}

void Process::on_stop(std::function<void()> stop) {
  loop_->stop = std::move(stop);
}

void Process::ready(std::string_view address, std::initializer_list<LogField> more) {
  std::string line = "ready";
  append_logfmt(line, {"address", address});
  append_logfmt(line, {"program", program_});
  for (const auto& field : more) {
    const auto* text = std::get_if<std::string_view>(&field.value);
    if (text == nullptr || !text->empty()) append_logfmt(line, field);
  }
  line += '\n';
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  notify_ready();
  if (const auto period = watchdog_period()) loop_->keep_alive(*period);
}

Status Process::run_loop() {
  loop_->context.run();
  return loop_->outcome.value_or(Status{});
}

void Process::finish(Status outcome) {
  asio::post(loop_->context, [this, why = std::move(outcome)] { loop_->end(why); });
}

}  // namespace troth
