// Plays tests/scripts/branch/*.txt.
#include "tests/scripts/runner.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

class ScriptedBranch final : public ScriptedMachine {
 public:
  std::vector<std::string> hear(const std::string& words) override {
    if (begin(words)) return {};
    if (words == "describe") return {branch_->describe()};
    if (const auto seconds = behind(words, "after")) {
      now_ += std::chrono::milliseconds(static_cast<std::int64_t>(std::stod(*seconds) * 1000));
      return step("time");
    }
    return step(words);
  }

 private:
  std::vector<std::string> step(const std::string& words) {
    if (!branch_) throw std::invalid_argument("no branch yet: " + words);
    std::vector<std::string> lines;
    for (const auto& effect : branch_->step(branch_input(work_, words), now_, journal_))
      lines.push_back(effect_text(effect));
    return lines;
  }

  bool begin(const std::string& words) {
    if (!words.starts_with("a branch")) return false;
    const bool one_phase = words.find("one-phase") != std::string::npos;
    work_ = work_for({transaction(5, 7, one_phase ? std::optional(ResourceNumber{3}) : std::nullopt), {1}});
    if (words.find("interactive") != std::string::npos) {
      work_.interactive = true;
      work_.statements.clear();
      work_.announced_statements = 0;
      work_.idle_timeout = std::chrono::seconds(10);
      work_.declared_read_only = words.find("declared") != std::string::npos;
      if (words.find("repeatable") != std::string::npos) work_.isolation = Isolation::kRepeatableRead;
      branch_.emplace(work_, WorkPlan{}, times_);
      return true;
    }
    WorkPlan plan;
    plan.read_only =
        words.find("read-only") != std::string::npos || words.find("plain reads") != std::string::npos;
    plan.may_turn_to_write = words.find("plain reads") != std::string::npos;
    plan.holds_until_told = words.find("snapshot") != std::string::npos;
    plan.ties_session = words.find("never tied") == std::string::npos;
    if (words.find("unheard of") != std::string::npos) {
      branch_.emplace(work_.id, work_.resource, times_);
    } else if (words.find("from the journal, commit learned") != std::string::npos) {
      branch_ = Branch::replayed_commit(work_.id, work_.resource, times_, now_);
    } else if (words.find("from a journal whose tail was cut") != std::string::npos) {
      branch_ = Branch::replayed({work_, {}}, times_, now_, false);
    } else if (words.find("from the journal, resolved") != std::string::npos) {
      const BranchBegun begun{work_, {}};
      const bool commit = words.find("commit") != std::string::npos;
      const bool was_adopted = words.find("of an orphan") != std::string::npos;
      branch_ = Branch::replayed_resolution({work_.id, work_.resource, commit, "ticket 12", "ann"},
                                            was_adopted ? nullptr : &begun, times_, now_);
    } else if (words.find("from the journal") != std::string::npos) {
      branch_ = Branch::replayed({work_, {}}, times_, now_, true);
    } else if (words.find("adopted") != std::string::npos) {
      branch_ = Branch::adopted(work_.id, work_.resource, times_, now_);
    } else {
      branch_.emplace(work_, plan, times_);
    }
    return true;
  }

  BranchTimes times_;
  Instant now_{std::chrono::seconds(1000)};
  JournalSequence journal_;
  Work work_;
  std::optional<Branch> branch_;
};

class BranchScript : public testing::TestWithParam<std::string> {};

TEST_P(BranchScript, AsksForExactlyThis) {
  ScriptedBranch machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Branch, BranchScript, testing::ValuesIn(scripts_in("tests/scripts/branch")),
                         script_name);

}  // namespace
}  // namespace troth::agent
