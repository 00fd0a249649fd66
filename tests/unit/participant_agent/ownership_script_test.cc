// Plays tests/scripts/ownership/*.txt.
#include "participant_agent/dialect/schema.h"
#include "participant_agent/ownership.h"
#include "tests/scripts/runner.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

// `agent-a 3/33` -> an owner row; `nobody`.
OwnerRow owner_row(const std::string& agent, const std::string& start) {
  if (agent == "nobody") return {};
  const auto slash = start.find('/');
  return {{agent}, {std::stoull(start.substr(0, slash))}, {std::stoull(start.substr(slash + 1))}, 0};
}

std::string row_words(const OwnerRow& row) {
  if (row.agent.value.empty()) return "nobody";
  return fmt::format("{} {}/{}", row.agent.value, row.incarnation.value, row.nonce.value);
}

class ScriptedOwnership final : public ScriptedMachine {
 public:
  std::vector<std::string> hear(const std::string& words) override {
    if (const auto rest = behind(words, "the journal has")) {
      remember(*rest);
      return {};
    }
    if (words.starts_with("this start is")) return begin(words);
    if (words == "health") {
      const auto health = machine_->health();
      std::vector<std::string> lines{std::string(name_of(health.state))};
      if (!health.reason.empty()) lines.push_back("because: " + health.reason);
      if (!health.remedy.empty()) lines.push_back("remedy: " + health.remedy);
      if (machine_->tells_take_over()) lines.emplace_back("tells the coordinators that it took it over");
      return lines;
    }
    if (words == "restart") {
      restart();
      return {};
    }
    if (const auto seconds = behind(words, "after")) {
      now_ += std::chrono::milliseconds(static_cast<std::int64_t>(std::stod(*seconds) * 1000));
      return step(OwnershipTicked{});
    }
    return step(input(words));
  }

 private:
  void remember(const std::string& words) {
    std::istringstream in(words);
    std::string word;
    std::string agent;
    std::string start;
    while (in >> word) {
      if (word == "claiming" || word == "owns") {
        in >> agent >> start;
        auto row = owner_row(agent, start);
        if (word == "claiming") memory_.claim(row);
        if (word == "owns") memory_.owned = row;
      } else if (word == "counter") {
        in >> memory_.counter;
      } else if (word == "gtid") {
        in >> memory_.gtid;
      } else if (word == "identity") {
        memory_.identity = ResourceIdentity{{"pg"}, "", 1, "i1"};
        in >> memory_.identity->server >> memory_.identity->timeline;
      } else {
        throw std::invalid_argument("the journal cannot have: " + word);
      }
    }
  }

  // this start is agent-a 3/33[, take over]
  std::vector<std::string> begin(const std::string& words) {
    std::istringstream in(words);
    std::string skip;
    std::string agent;
    std::string start;
    in >> skip >> skip >> skip >> agent >> start;
    const auto row = owner_row(agent, start);
    options_.resource = {"pg"};
    options_.agent = row.agent;
    options_.incarnation = row.incarnation;
    options_.nonce = row.nonce;
    options_.take_over = words.find("take over") != std::string::npos;
    machine_.emplace(options_, memory_);
    return lines_of(machine_->start());
  }

  void restart() {
    JournalState state;
    state.ownership[{"pg"}] = memory_;
    for (const auto& record : journal_)
      state.apply(record);
    journal_.clear();
    memory_ = state.ownership[{"pg"}];
  }

  OwnershipInput input(const std::string& words) {
    if (words == "connected") return Connected{};
    if (const auto rest = behind(words, "server")) return server(*rest);
    if (words == "not installed")
      return ServerUnread{error_with(ErrorCode::kUnavailable, "run `troth install pg`")};
    if (const auto ticket = behind(words, "durable")) return OwnershipDurable{{std::stoull(*ticket)}};
    if (words == "row won") return RowChanged{true};
    if (words == "row lost") return RowChanged{false};
    if (words == "row unknown") return RowChanged{std::nullopt};
    if (const auto rest = behind(words, "sessions")) {
      SessionsListed list;
      std::istringstream in(*rest);
      std::uint64_t id = 0;
      while (in >> id)
        list.others.push_back({id});
      return list;
    }
    if (words == "disconnected") return Disconnected{"connection lost"};
    if (words == "take over") return TakeOverAllowed{};
    if (words == "registered") return Registered{};
    throw std::invalid_argument("ownership cannot hear: " + words);
  }

  // server agent-a 3/33 counter 10 [named s2] [timeline 2] [read only] [lacks gtid] [version 2] [cannot
  // prepare]
  static OwnershipInput server(const std::string& words) {
    ServerRow row;
    row.server = "s1";
    row.timeline = 1;
    row.installation = "i1";
    row.schema_version = kSchemaVersion;
    std::istringstream in(words);
    std::string word;
    while (in >> word) {
      if (word == "nobody") {
        row.owner = {};
      } else if (word.starts_with("agent")) {
        std::string start;
        in >> start;
        const auto counter = row.owner.counter;
        row.owner = owner_row(word, start);
        row.owner.counter = counter;
      } else if (word == "counter") {
        in >> row.owner.counter;
      } else if (word == "named") {
        in >> row.server;
      } else if (word == "timeline") {
        in >> row.timeline;
      } else if (word == "installation") {
        in >> row.installation;
      } else if (word == "read") {
        in >> word;
        row.read_only = true;
      } else if (word == "lacks") {
        in >> word;
        row.holds_known_gtid = false;
      } else if (word == "version") {
        in >> row.schema_version;
      } else if (word == "cannot") {
        in >> word;
        row.cannot_prepare = "max_prepared_transactions is 0";
      } else {
        throw std::invalid_argument("a server cannot be: " + word);
      }
    }
    return ServerRead{row};
  }

  std::vector<std::string> step(const OwnershipInput& input) {
    return lines_of(machine_->step(input, now_, tickets_));
  }

  std::vector<std::string> lines_of(const std::vector<OwnershipEffect>& effects) {
    std::vector<std::string> lines;
    for (const auto& effect : effects) {
      if (const auto* append = std::get_if<AppendJournal>(&effect)) journal_.push_back(append->record);
      lines.push_back(text(effect));
    }
    return lines;
  }

  static std::string text(const OwnershipEffect& effect) {
    struct Words {
      std::string operator()(const Connect&) const { return "connect"; }
      std::string operator()(const ReadServer& r) const {
        return r.known_gtid.empty() ? "read server" : "read server, does it hold " + r.known_gtid;
      }
      std::string operator()(const ClaimRow& c) const {
        return fmt::format("claim row: {} instead of {}", row_words(c.claimed), row_words(c.expected));
      }
      std::string operator()(const RaiseCounter& r) const {
        return fmt::format("raise counter to {}", r.counter);
      }
      std::string operator()(const ListSessions&) const { return "list sessions"; }
      std::string operator()(const EndSessions& e) const {
        std::string line = "end sessions";
        for (const auto& session : e.sessions)
          line += fmt::format(" {}", session.value);
        return line;
      }
      std::string operator()(const Serve& s) const { return "serve as " + row_words(s.mine); }
      std::string operator()(const AcceptSetBack&) const { return "accept set back"; }
      std::string operator()(const StartAnew& anew) const { return "start anew: " + anew.reason.message; }
      std::string operator()(const Stop& s) const {
        return fmt::format("stop ({}): {}", name_of(s.reason.code), s.reason.message);
      }
      std::string operator()(const AppendJournal& append) const { return effect_text(append); }
    };
    return std::visit(Words{}, effect);
  }

  OwnershipOptions options_;
  OwnershipMemory memory_;
  JournalSequence tickets_;
  std::vector<JournalRecord> journal_;
  Instant now_{std::chrono::seconds(1000)};
  std::optional<Ownership> machine_;
};

class OwnershipScript : public testing::TestWithParam<std::string> {};

TEST_P(OwnershipScript, AsksForExactlyThis) {
  ScriptedOwnership machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Ownership, OwnershipScript, testing::ValuesIn(scripts_in("tests/scripts/ownership")),
                         script_name);

}  // namespace
}  // namespace troth::agent
