// A server that does nothing but live and stop: what base/runtime/process.h promises is tried on it.
#include <cstdio>
#include <thread>

#include "base/runtime/process.h"

namespace troth {
namespace {

enum class CrashPoint : std::uint8_t { kBeforeReady, kOnStop, kInThread };

inline constexpr auto kCrashPoints = crash_point_names<CrashPoint>({
    {CrashPoint::kBeforeReady, "example.before_ready"},
    {CrashPoint::kOnStop, "example.on_stop"},
    {CrashPoint::kInThread, "example.in_thread"},
});

void reach(CrashPoint point) {
  reach_crash_point(kCrashPoints[std::to_underlying(point)]);
}

struct Settings {
  bool hang = false;
  bool fail = false;
};

Status serve(Process& process, const Settings& settings) {
  reach(CrashPoint::kBeforeReady);
  std::jthread([] {
    for (int i = 0; i < 3; ++i)
      reach(CrashPoint::kInThread);
  }).join();
  process.on_stop([&] {
    reach(CrashPoint::kOnStop);
    if (!settings.hang) process.finish();
  });
  process.on_reread([] {
    std::puts("read again");
    std::fflush(stdout);
  });
  process.ready("127.0.0.1:1", {{"cluster", process.data().identity().cluster}});
  if (settings.fail) process.finish(fail(ErrorCode::kIo, Effect::kUnknown, "the disk is gone"));
  return process.run_loop();
}

}  // namespace
}  // namespace troth

int main(int argc, char** argv) {
  troth::Settings settings;
  return troth::run_program({.name = "example-process",
                             .purpose = "Lives and stops.",
                             .kind = troth::OwnerKind::kCoordinator,
                             .crash_points = troth::kCrashPoints,
                             .describe =
                                 [&](troth::Schema& schema) {
                                   schema.boolean("hang", settings.hang, "Whether a stop never ends.");
                                   schema.boolean("fail", settings.fail, "Whether it fails once ready.");
                                 },
                             .run = [&](troth::Process& process) { return troth::serve(process, settings); }},
                            argc, argv);
}
