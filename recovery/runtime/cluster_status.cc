// troth cluster status: a group of coordinators, once or again and again.
#include <cerrno>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "base/runtime/clock.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/group_view.h"
#include "recovery/runtime/interrupts.h"

namespace troth::recovery {
namespace {

// Clears the screen, and goes to its beginning.
constexpr std::string_view kAnew = "\033[H\033[2J";

std::string time_text() {
  const auto now = std::chrono::floor<std::chrono::seconds>(wall_now());
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

ExitCode code_of(const Result<GroupView>& view) {
  if (!view) return exit_code_of(view.error());
  return view->is_well() ? ExitCode::kDone : ExitCode::kAttention;
}

ExitCode show(const Result<GroupView>& view, Console& console) {
  if (!view) return console.complain(view.error());
  console.answer([&] { return text_of(*view); }, [&] { return json_of(*view); });
  return code_of(view);
}

// Without a coordinator that answers it goes on, too: that is when somebody watches.
void show_again(const Result<GroupView>& view, bool on_terminal, Console& console) {
  if (console.wants_json())
    return console.print_json_line(view ? json_of(*view) : Json{{"error", json_of(view.error())}});
  console.print_text(fmt::format("{}{}\n{}\n", on_terminal ? kAnew : "", time_text(),
                                 view ? text_of(*view) : view.error().message + "\n"));
}

}  // namespace

ExitCode run(const ClusterStatusCommand& command, const Surroundings& around, Console& console) {
  if (!command.watch) return show(look_at_group(around), console);
  const bool on_terminal = ::isatty(STDOUT_FILENO) == 1;
  Interrupts interrupts;
  for (std::uint64_t look = 1;; ++look) {
    const auto view = look_at_group(around);
    if (!view && view.error().code == ErrorCode::kInvalidArgument) return console.complain(view.error());
    show_again(view, on_terminal, console);
    if (!console.flush() || look == command.count) return code_of(view);
    pollfd waited{.fd = interrupts.fd(), .events = POLLIN, .revents = 0};
    const auto woken = ::poll(&waited, 1, static_cast<int>(command.interval.count()));
    if (woken > 0 || (woken < 0 && errno == EINTR) || interrupts.is_leaving()) return code_of(view);
  }
}

}  // namespace troth::recovery
