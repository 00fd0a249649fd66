#include "txlog/runtime/log.h"

#include <atomic>
#include <filesystem>

#include <gtest/gtest.h>

namespace troth::txlog {
namespace {

TEST(Log, ReplaysWhatWasAppended) {
  char dir[] = "/tmp/txlogXXXXXX";
  ASSERT_TRUE(mkdtemp(dir));
  for (int i = 0; i < 3; ++i) {
    int n = 0;
    auto opened = Log::open({.directory = dir,
                             .identity = {{"bank-x7k2p9"}, "decision-store"},
                             .replay = [&](const RecordView&) -> Status {
                               ++n;
                               return {};
                             },
                             .on_failure = {},
                             .on_warning = {},
                             .seed = {}});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(n, i * 1000);
    std::atomic<int> done = 0;
    for (int k = 0; k < 1000; ++k) {
      auto s = opened->log->append({1}, bytes_of("hello"), [&](auto r) {
        ASSERT_TRUE(r);
        ++done;
      });
      ASSERT_TRUE(s);
    }
    opened->log->close();
    EXPECT_EQ(done, 1000);
  }
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace troth::txlog
