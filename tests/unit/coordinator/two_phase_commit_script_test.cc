#include <gtest/gtest.h>

#include "coordinator/two_phase_commit.h"
#include "tests/unit/coordinator/script.h"
#include "tests/unit/coordinator/script_words.h"

namespace troth::coordinator {
namespace {

// Transaction 5.7; its first call is 1. Other transactions that the store may name have the same request.
class ScriptedTwoPhaseCommit : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override {
    Words words(line);
    if (words.accept("transaction over")) return start(words);
    if (words.accept("redriven commit over")) return start_redriven(words);
    if (words.accept("state"))
      return {std::string(name_of(machine_->state())) + (machine_->over() ? ", over" : "")};
    if (words.accept("branches")) {
      std::vector<std::string> lines;
      for (const auto& branch : machine_->branches())
        lines.push_back(fmt::format("{} {} {}", branch.branch.value, branch.resource.value, branch.state));
      return lines;
    }
    if (words.accept("after")) {
      now_ += read_duration(words.next());
      return step(TwoPhaseCommit::TimePassed{});
    }
    if (words.accept("silence for")) {  // time goes on, but the machine is not told
      now_ += read_duration(words.next());
      return {};
    }
    auto input = read(words);
    words.expect_end(line);
    return step(input);
  }

 private:
  static constexpr Backoff kBackoff{std::chrono::seconds{1}, std::chrono::seconds{8}};

  std::vector<std::string> start(Words& words) {
    TwoPhaseCommit::Options options;
    options.id = read_id("5.7");
    options.ask_again = options.redrive = kBackoff;
    options.deadline = now_ + std::chrono::seconds{10};
    options.caller = {{1}, Acknowledgement::kApplied, options.deadline};
    while (!words.empty()) {
      if (words.accept("with request")) {
        options.request = RequestKey{"teller", {}};
      } else if (words.accept("acknowledged when decided")) {
        options.caller.acknowledgement = Acknowledgement::kDecided;
      } else if (words.accept("(read-only)")) {
        options.branches.back().declared_read_only = true;
      } else {
        options.branches.push_back({{words.next()}, false});
      }
    }
    machine_.emplace(std::move(options));
    return step(TwoPhaseCommit::Begun{});
  }

  std::vector<std::string> start_redriven(Words& words) {
    store::StoredDecision decision{store::CommitRecord{read_id("5.7"), {}, {}, {}, {}, {}}, std::nullopt, {}};
    auto& record = std::get<store::CommitRecord>(decision.decision);
    std::vector<ResourceName> resources;
    for (std::uint32_t n = 1; !words.empty(); ++n) {
      record.branches.push_back({{n}, {n}});
      resources.push_back({words.next()});
      if (words.accept("(resolved)"))
        decision.resolutions.push_back({record.transaction, {n}, resources.back(), true, "r", "o", {}});
    }
    machine_.emplace(decision, std::move(resources), kBackoff, now_ + std::chrono::seconds{1});
    return {};
  }

  static store::StoredDecision decision_of(const std::string& id, bool same_content) {
    store::CommitRecord record{read_id(id), {}, RequestKey{"teller", {}}, {}, {}, {}};
    if (!same_content) record.digest.bytes[0] = 1;
    return {record, std::nullopt, {}};
  }

  static store::StoreAnswer read_choice(Words& words) {
    if (words.accept("won")) return store::Won{};
    if (words.accept("fenced")) return store::Fenced{{6}};
    if (words.accept("unknown")) return store::Unknown{};
    if (words.accept("this commit stands"))
      return store::Existing{store::TakenKey::kDecision, decision_of("5.7", true)};
    if (words.accept("abort stands"))
      return store::Existing{store::TakenKey::kDecision,
                             store::StoredDecision{store::AbortRecord{read_id("5.7"), {}, "chosen"}, {}, {}}};
    if (words.accept("the request is barred"))
      return store::Existing{store::TakenKey::kRequest, store::BarredRecord{{"teller", {}}, {}}};
    if (words.accept("the request is committed as")) {
      const auto id = words.next();
      return store::Existing{store::TakenKey::kRequest, decision_of(id, !words.accept("with other content"))};
    }
    ADD_FAILURE() << "'" << words.peek() << "' is no answer of the store";
    return store::Unknown{};
  }

  static store::StoreAnswer read_record(Words& words) {
    if (words.accept("unknown")) return store::Unknown{};
    store::Found found;
    if (words.accept("commit"))
      found.decision = decision_of("5.7", true);
    else
      EXPECT_TRUE(words.accept("none"));
    EXPECT_TRUE(words.accept("in epoch"));
    found.prefix.epoch.number = {static_cast<std::uint32_t>(words.number())};
    if (words.accept("above the floor")) found.prefix.floors.transactions = {{5}, {7}};
    if (words.accept("below the floor")) found.prefix.floors.transactions = {{5}, {8}};
    return found;
  }

  TwoPhaseCommit::Input read(Words& words) {
    const auto branch = [&] { return BranchNumber{static_cast<std::uint32_t>(words.number())}; };
    if (words.accept("vote of")) {
      const auto number = branch();
      if (words.accept("is lost")) return TwoPhaseCommit::VoteLost{number, false, unavailable()};
      if (words.accept("was never asked for")) return TwoPhaseCommit::VoteLost{number, true, unavailable()};
      return TwoPhaseCommit::VoteReceived{number, read_vote(words)};
    }
    if (words.accept("call")) {
      Caller caller{{words.number()}, Acknowledgement::kApplied, {}};
      EXPECT_TRUE(words.accept("joins"));
      if (words.accept("until decided")) caller.acknowledgement = Acknowledgement::kDecided;
      EXPECT_TRUE(words.accept("for"));
      caller.deadline = now_ + read_duration(words.next());
      return TwoPhaseCommit::CallJoined{caller};
    }
    if (words.accept("store says")) return TwoPhaseCommit::ChoiceAnswered{read_choice(words)};
    if (words.accept("record is")) return TwoPhaseCommit::RecordLookedUp{read_record(words)};
    if (words.accept("branch")) {
      const auto number = branch();
      if (words.accept("resolved as committed")) return TwoPhaseCommit::BranchResolved{number, true};
      if (words.accept("resolved as rolled back")) return TwoPhaseCommit::BranchResolved{number, false};
      return TwoPhaseCommit::BranchFinished{number, read_end(words), "as its agent says"};
    }
    if (words.accept("agent of")) {
      const auto number = branch();
      EXPECT_TRUE(words.accept("returned"));
      return TwoPhaseCommit::AgentReturned{number};
    }
    EXPECT_TRUE(words.accept("drain ended")) << words.peek();
    return TwoPhaseCommit::DrainEnded{};
  }

  static Error unavailable() {
    return refusal(ErrorCode::kUnavailable, Effect::kUnknown, "connection reset");
  }

  std::vector<std::string> step(const TwoPhaseCommit::Input& input) {
    std::vector<std::string> lines;
    for (const auto& effect : machine_->step(now_, random_, input))
      lines.push_back(write(effect));
    // What the machine waits for never lies in the past.
    const bool timed = std::holds_alternative<TwoPhaseCommit::TimePassed>(input);
    EXPECT_GT(timed ? machine_->due().value_or(Instant::max()) : Instant::max(), now_);
    return lines;
  }

  static std::string write(const TwoPhaseCommit::Effect& effect) {
    return std::visit(
        [](const auto& e) -> std::string {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, TwoPhaseCommit::SendPrepare>)
            return fmt::format("prepare {}", e.branch.value);
          if constexpr (std::is_same_v<E, TwoPhaseCommit::SendRollback>)
            return fmt::format("roll back {}", e.branch.value);
          if constexpr (std::is_same_v<E, TwoPhaseCommit::SendRelease>)
            return fmt::format("release {}", e.branch.value);
          if constexpr (std::is_same_v<E, TwoPhaseCommit::SendCommit>)
            return fmt::format("commit {}", e.branch.value);
          if constexpr (std::is_same_v<E, TwoPhaseCommit::LookUpRecord>) return "look up the record";
          if constexpr (std::is_same_v<E, TwoPhaseCommit::EndRecord>)
            return e.heuristic ? "end the record: heuristic" : "end the record";
          if constexpr (std::is_same_v<E, AnswerCall>)
            return fmt::format("answer {}: {}", e.call.value, write_answer(e.answer));
          if constexpr (std::is_same_v<E, TwoPhaseCommit::ProposeCommit>) {
            std::string text = "propose commit of";
            for (const auto branch : e.branches)
              text += fmt::format(" {}", branch.value);
            return text;
          }
        },
        effect);
  }

  Instant now_{std::chrono::hours{1}};
  Random random_{1};
  std::optional<TwoPhaseCommit> machine_;
};

class TwoPhaseCommitScript : public testing::TestWithParam<std::string> {};

TEST_P(TwoPhaseCommitScript, Holds) {
  ScriptedTwoPhaseCommit machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Scripts, TwoPhaseCommitScript, testing::ValuesIn(scripts_of("two_phase_commit")),
                         script_name);

}  // namespace
}  // namespace troth::coordinator
