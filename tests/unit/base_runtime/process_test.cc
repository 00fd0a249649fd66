#include "base/runtime/process.h"

#include <array>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace troth {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class ProcessTest : public testing::Test {
 protected:
  // Writes a configuration with these lines behind data_directory, and makes the data directory.
  void configure(const std::string& lines) {
    std::ofstream(config_) << "data_directory = \"data\"\n" << lines;
    if (initialised_) return;
    ChildProcess init({EXAMPLE_PROCESS, "init", "--config", config_, "--name", "bank"});
    ASSERT_EQ(init.wait(), 0) << init.errors();
    EXPECT_THAT(init.output(), HasSubstr("initialised cluster=bank-"));
    initialised_ = true;
  }
  [[nodiscard]] std::vector<std::string> command() const { return {EXAMPLE_PROCESS, "--config", config_}; }

  TemporaryDirectory directory_;
  std::string config_ = directory_.file("example.toml");
  bool initialised_ = false;
};

TEST_F(ProcessTest, SaysWhenItIsReadyAndStopsCleanlyOnSigterm) {
  configure("");
  ChildProcess server(command());
  ASSERT_TRUE(server.wait_for_output("ready address=127.0.0.1:1 program=example-process cluster=bank-"));
  server.send(SIGTERM);
  EXPECT_EQ(server.wait(), 0) << server.errors();
  EXPECT_THAT(server.errors(), HasSubstr("level=info program=example-process msg=stopped"));
}

TEST_F(ProcessTest, SighupReadsAgainAndStopsNothing) {
  configure("");
  ChildProcess server(command());
  ASSERT_TRUE(server.wait_for_output("ready "));
  server.send(SIGHUP);
  ASSERT_TRUE(server.wait_for_output("read again\n"));
  server.send(SIGHUP);
  ASSERT_TRUE(server.wait_for_output("read again\nread again\n"));
  server.send(SIGTERM);
  EXPECT_EQ(server.wait(), 0) << server.errors();
}

TEST_F(ProcessTest, ASecondSignalEndsAShutdownThatHangs) {
  configure("hang = true\n");
  ChildProcess server(command());
  ASSERT_TRUE(server.wait_for_output("ready "));
  server.send(SIGTERM);
  // The two signals must not melt into one.
  ChildProcess probe({EXAMPLE_PROCESS, "--version"});
  probe.wait();
  server.send(SIGINT);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.errors(), HasSubstr("reason=\"second signal\""));
}

TEST_F(ProcessTest, AShutdownIsBounded) {
  configure("hang = true\nshutdown_timeout_ms = 100\n");
  ChildProcess server(command());
  ASSERT_TRUE(server.wait_for_output("ready "));
  server.send(SIGINT);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.errors(), HasSubstr("reason=\"shutdown_timeout_ms passed\""));
}

TEST_F(ProcessTest, WhatStopsAProcessIsItsLastLine) {
  configure("fail = true\n");
  ChildProcess server(command());
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.errors(), HasSubstr("\nexample-process: the disk is gone\n"));
}

TEST_F(ProcessTest, TwoProcessesNeverShareADataDirectory) {
  configure("");
  ChildProcess first(command());
  ASSERT_TRUE(first.wait_for_output("ready "));
  ChildProcess second(command());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.errors(), HasSubstr("is in use by another process"));
}

TEST_F(ProcessTest, AMissingDataDirectoryIsNeverMadeSilently) {
  std::ofstream(config_) << "data_directory = \"typo\"\n";
  ChildProcess server(command());
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.errors(), HasSubstr("typo is not a data directory of Troth"));
  EXPECT_THAT(server.errors(), HasSubstr("`example-process init --config FILE --name NAME`"));
}

TEST_F(ProcessTest, ACrashPointKillsAtTheTimeThatCounts) {
  configure("[testing]\ncrash_point = \"example.in_thread\"\ncrash_hit = 3\n");
  ChildProcess server(command());
  EXPECT_EQ(server.wait(), -SIGKILL);
  EXPECT_THAT(server.errors(), HasSubstr("crash point example.in_thread reached: kill\n"));
  EXPECT_EQ(server.output(), "");
}

TEST_F(ProcessTest, ACrashPointStopsUntilContinued) {
  configure("[testing]\ncrash_point = \"example.before_ready\"\ncrash_action = \"stop\"\n");
  ChildProcess server(command());
  ASSERT_TRUE(server.wait_until_stopped());
  server.send(SIGCONT);
  ASSERT_TRUE(server.wait_for_output("ready "));
  server.send(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ProcessTest, AMistypedCrashPointIsRefused) {
  configure("");
  configure("[testing]\ncrash_point = \"example.befor_ready\"\n");
  ChildProcess server(command());
  EXPECT_EQ(server.wait(), 2);
  EXPECT_THAT(server.errors(),
              HasSubstr("no point 'example.befor_ready'; did you mean 'example.before_ready'?"));
}

TEST_F(ProcessTest, CheckConfigPrintsWhatIsInForceOrEverythingWrong) {
  configure("hang = true\n");
  ChildProcess good({EXAMPLE_PROCESS, "--config", config_, "--check-config"});
  EXPECT_EQ(good.wait(), 0);
  EXPECT_THAT(good.output(), HasSubstr("shutdown_timeout_ms = 10000  # default\n"));
  EXPECT_THAT(good.output(), HasSubstr("hang = true\n"));
  configure("hagn = true\nfail = 3\n");
  ChildProcess bad({EXAMPLE_PROCESS, "--config", config_, "--check-config"});
  EXPECT_EQ(bad.wait(), 2);
  EXPECT_THAT(bad.errors(), HasSubstr("example.toml:2: 'hagn': no such setting; did you mean 'hang'?\n"));
  EXPECT_THAT(bad.errors(), HasSubstr("example.toml:3: 'fail': expected true or false, found an integer\n"));
}

TEST_F(ProcessTest, ListsItsCrashPointsAndItsSettings) {
  ChildProcess points({EXAMPLE_PROCESS, "--list-crash-points"});
  EXPECT_EQ(points.wait(), 0);
  EXPECT_EQ(points.output(), "example.before_ready\nexample.on_stop\nexample.in_thread\n");
  ChildProcess reference({EXAMPLE_PROCESS, "--settings-reference"});
  EXPECT_EQ(reference.wait(), 0);
  EXPECT_THAT(reference.output(), HasSubstr("# Settings of example-process\n"));
  EXPECT_THAT(reference.output(), HasSubstr("| `hang` | boolean |"));
}

TEST_F(ProcessTest, AWrongCommandLineIsAUsageError) {
  ChildProcess unknown({EXAMPLE_PROCESS, "--colour"});
  EXPECT_EQ(unknown.wait(), 2);
  ChildProcess nothing({EXAMPLE_PROCESS});
  EXPECT_EQ(nothing.wait(), 2);
  EXPECT_THAT(nothing.errors(), HasSubstr("--config FILE is missing"));
}

TEST_F(ProcessTest, TellsSystemdThatItIsReadyAliveAndStopping) {
  configure("");
  const int receiver = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = directory_.file("notify");
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const auto next_message = [&] {
    std::array<char, 256> buffer{};
    const auto got = ::recv(receiver, buffer.data(), buffer.size(), 0);
    return std::string(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  };
  ChildProcess server(command(), {"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=40000"});
  EXPECT_EQ(next_message(), "READY=1");
  EXPECT_EQ(next_message(), "WATCHDOG=1");
  EXPECT_EQ(next_message(), "WATCHDOG=1") << "the loop goes on telling that it lives";
  server.send(SIGTERM);
  std::string message;
  do {
    message = next_message();
  } while (message == "WATCHDOG=1");
  EXPECT_EQ(message, "STOPPING=1");
  EXPECT_EQ(server.wait(), 0);
  ::close(receiver);
}

}  // namespace
}  // namespace troth
