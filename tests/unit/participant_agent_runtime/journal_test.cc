#include "participant_agent/runtime/journal.h"

#include <chrono>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// Large records pass the limit as soon as many small ones do.
TEST(Journal, FewLargeRecordsMakeACheckpoint) {
  asio::io_context loop;
  const TemporaryDirectory directory;
  JournalOptions options;
  options.directory = directory.file("journal");
  options.cluster = {"bank-x7k2p9"};
  options.agent = {"agent-a"};
  options.segment_bytes = 1U << 20;
  options.journal_bytes = 1U << 20;
  JournalState state;
  const auto journal = Journal::open(loop, options, state);
  ASSERT_TRUE(journal) << journal.error().message;
  int checkpoints = 0;
  Journal::Events events;
  events.on_failure = [](const Error& error) { ADD_FAILURE() << error.message; };
  events.checkpoint = [&] {
    ++checkpoints;
    return std::vector<JournalRecord>{AgentStarted{Incarnation{1}}};
  };
  (*journal)->set_events(std::move(events));

  BranchBegun begun;
  begun.work.id = {{{"bank-x7k2p9"}, {1}, {1}, {}}, {1}};
  begun.work.resource = {"bank"};
  begun.work.statements.push_back({std::string(300'000, ' '), {}, {}});
  for (std::uint64_t number = 1; number <= 12; ++number) {
    (*journal)->append({{number}, begun});
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while ((*journal)->durable().value < number && std::chrono::steady_clock::now() < give_up) {
      loop.restart();
      loop.run_one_for(100ms);
    }
    ASSERT_EQ((*journal)->durable().value, number);
  }
  EXPECT_GE(checkpoints, 1);
}

}  // namespace
}  // namespace troth::agent
