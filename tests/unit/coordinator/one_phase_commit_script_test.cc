#include <gtest/gtest.h>

#include "coordinator/one_phase_commit.h"
#include "tests/unit/coordinator/script.h"
#include "tests/unit/coordinator/script_words.h"

namespace troth::coordinator {
namespace {

// Transaction 5.7.s2, whose only branch is in the resource "ledger"; its first call is 1.
class ScriptedOnePhaseCommit : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override {
    Words words(line);
    if (words.accept("transaction begins")) {
      const bool has_request = words.accept("with request");
      const Caller caller{{1}, Acknowledgement::kApplied, now_ + std::chrono::seconds{10}};
      machine_.emplace(OnePhaseCommit::Options{read_id("5.7.s2"),
                                               {"ledger"},
                                               has_request,
                                               caller,
                                               {std::chrono::seconds{1}, std::chrono::seconds{8}}});
      return step(OnePhaseCommit::Begun{});
    }
    if (words.accept("state"))
      return {std::string(name_of(machine_->state())) + (machine_->over() ? ", over" : "")};
    if (words.accept("after")) {
      now_ += read_duration(words.next());
      return step(OnePhaseCommit::TimePassed{});
    }
    const auto input = read(words);
    words.expect_end(line);
    return step(input);
  }

 private:
  OnePhaseCommit::Input read(Words& words) {
    const auto gone = refusal(ErrorCode::kUnavailable, Effect::kUnknown, "connection reset");
    if (words.accept("no reply")) return OnePhaseCommit::VoteLost{false, gone};
    if (words.accept("never sent")) return OnePhaseCommit::VoteLost{true, gone};
    if (words.accept("agent answers")) return OnePhaseCommit::VoteReceived{read_vote(words)};
    if (words.accept("resource says")) {
      OnePhaseCommit::Settled settled{read_end(words), std::nullopt, "as it says"};
      if (words.accept("as")) settled.committed_as = read_id(words.next());
      return settled;
    }
    if (words.accept("resolved as committed")) return OnePhaseCommit::BranchResolved{true};
    if (words.accept("resolved as rolled back")) return OnePhaseCommit::BranchResolved{false};
    if (words.accept("agent returned")) return OnePhaseCommit::AgentReturned{};
    if (words.accept("call")) {
      const CallId call{words.number()};
      EXPECT_TRUE(words.accept("joins for"));
      return OnePhaseCommit::CallJoined{
          {call, Acknowledgement::kApplied, now_ + read_duration(words.next())}};
    }
    EXPECT_TRUE(words.accept("drain ended")) << words.peek();
    return OnePhaseCommit::DrainEnded{};
  }

  std::vector<std::string> step(const OnePhaseCommit::Input& input) {
    std::vector<std::string> lines;
    for (const auto& effect : machine_->step(now_, random_, input)) {
      if (std::holds_alternative<OnePhaseCommit::SendOnePhase>(effect))
        lines.emplace_back("send one-phase");
      else if (std::holds_alternative<OnePhaseCommit::SendSettle>(effect))
        lines.emplace_back("settle");
      else
        lines.push_back(fmt::format("answer {}: {}", std::get<AnswerCall>(effect).call.value,
                                    write_answer(std::get<AnswerCall>(effect).answer)));
    }
    return lines;
  }

  Instant now_{std::chrono::hours{1}};
  Random random_{1};
  std::optional<OnePhaseCommit> machine_;
};

class OnePhaseCommitScript : public testing::TestWithParam<std::string> {};

TEST_P(OnePhaseCommitScript, Holds) {
  ScriptedOnePhaseCommit machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Scripts, OnePhaseCommitScript, testing::ValuesIn(scripts_of("one_phase_commit")),
                         script_name);

}  // namespace
}  // namespace troth::coordinator
