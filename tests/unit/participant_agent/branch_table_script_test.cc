// Plays tests/scripts/branch_table/*.txt.
//
// Words of a message: `prepare 5.7`, then any of `on pg`, `branch 2`, `epoch 5/1`, `watermark 5.1`,
// `incarnation 2`, `request a`, `digest x`, `one-phase`, `number 1`, `statements 1`, in any order.
#include "participant_agent/branch_table.h"
#include "tests/scripts/runner.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

Position position(const std::string& text) {
  const auto dot = text.find('.');
  return {{static_cast<std::uint32_t>(std::stoul(text.substr(0, dot)))}, {std::stoull(text.substr(dot + 1))}};
}

// The words of one message, with what is usual where nothing is said.
struct Message {
  std::string verb;
  Position id{{5}, {7}};
  std::uint32_t branch = 1;
  std::string resource = "pg";
  Epoch epoch{{5}, {1}};
  Position watermark{{5}, {1}};
  EpochNumber new_reign;
  std::uint64_t incarnation = 2;
  std::optional<char> request;
  char digest = 'd';
  bool one_phase = false;
  std::uint32_t number = 1;
  std::optional<std::uint32_t> statements;
  std::string cluster = "bank-x7k2p9";
  Floors floors;
  std::optional<std::vector<ResourceName>> resources;
  std::vector<TransactionId> ended;
  std::string rest;

  [[nodiscard]] LeaderStamp stamp() const { return {{cluster}, epoch, watermark, new_reign}; }
  [[nodiscard]] BranchId branch_id() const {
    return {transaction(id.epoch.value, id.sequence.value,
                        one_phase ? std::optional(ResourceNumber{3}) : std::nullopt),
            {branch}};
  }
};

Message message_of(const std::string& words) {
  std::istringstream in(words);
  Message message;
  std::string word;
  in >> message.verb;
  const auto next = [&in] {
    std::string value;
    in >> value;
    return value;
  };
  while (in >> word) {
    if (word == "on") {
      message.resource = next();
    } else if (word == "branch") {
      message.branch = static_cast<std::uint32_t>(std::stoul(next()));
    } else if (word == "epoch") {
      const auto value = next();
      const auto slash = value.find('/');
      message.epoch = {{static_cast<std::uint32_t>(std::stoul(value.substr(0, slash)))},
                       {std::stoull(value.substr(slash + 1))}};
    } else if (word == "new-reign") {
      message.new_reign = {static_cast<std::uint32_t>(std::stoul(next()))};
    } else if (word == "watermark") {
      message.watermark = position(next());
    } else if (word == "incarnation") {
      message.incarnation = std::stoull(next());
    } else if (word == "request") {
      message.request = next().front();
    } else if (word == "digest") {
      message.digest = next().front();
    } else if (word == "number") {
      message.number = static_cast<std::uint32_t>(std::stoul(next()));
    } else if (word == "statements") {
      message.statements = static_cast<std::uint32_t>(std::stoul(next()));
    } else if (word == "one-phase") {
      message.one_phase = true;
    } else if (word == "cluster") {
      message.cluster = next();
    } else if (word == "floor") {
      message.floors.position = position(next());
    } else if (word == "of-others") {
      message.resources.emplace();
    } else if (word == "requests") {
      message.floors.request_ms = std::stoull(next());
    } else if (word == "ended") {
      const auto ended = position(next());
      message.ended.push_back(transaction(ended.epoch.value, ended.sequence.value));
    } else if (word == ":") {
      std::getline(in >> std::ws, message.rest);
    } else if (word.find('.') != std::string::npos) {
      message.id = position(word);
    } else {
      message.rest += (message.rest.empty() ? "" : " ") + word;
    }
  }
  return message;
}

Work work_of(const Message& message) {
  Work work = work_for(message.branch_id());
  work.resource = {message.resource};
  work.incarnation = {message.incarnation};
  work.epoch = message.epoch.number;
  work.digest = digest_of(message.digest);
  work.request.reset();
  if (message.request) work.request = RequestKey{"shop", request_id(*message.request)};
  return work;
}

// `statement` opens a branch or goes on with it; `prepare .. statements 2` asks for an open one's vote.
Work interactive_work_of(const Message& message) {
  Work work = work_of(message);
  work.interactive = true;
  work.announced_statements = message.statements.value_or(0);
  work.statements.clear();
  work.idle_timeout = std::chrono::seconds(10);
  work.timeout = std::chrono::seconds(60);
  return work;
}

StatementArrived statement_of(const Message& message) {
  const std::string sql = message.rest.empty() ? "UPDATE account SET balance = 0" : message.rest;
  return {message.stamp(), interactive_work_of(message), {message.number, Statement{sql, {}, std::nullopt}}};
}

class ScriptedTable final : public ScriptedMachine {
 public:
  ScriptedTable() { restart(2); }

  std::vector<std::string> hear(const std::string& words) override {
    if (const auto incarnation = behind(words, "restart")) {
      restart(incarnation->empty() ? options_.incarnation.value + 1 : std::stoull(*incarnation));
      return {};
    }
    if (words == "the journal's tail was cut") {
      tail_was_cut_ = true;
      return {};
    }
    if (const auto count = behind(words, "at most")) {
      options_.limits.live_branches = std::stoull(*count);
      restart(options_.incarnation.value);
      return {};
    }
    if (words == "remembered") return {std::to_string(table_->remembered())};
    if (words == "checkpoint") return checkpoint();
    if (const auto seconds = behind(words, "after")) {
      now_ += std::chrono::milliseconds(static_cast<std::int64_t>(std::stod(*seconds) * 1000));
      return step(Ticked{});
    }
    return step(input(message_of(words)));
  }

 private:
  TableInput input(const Message& message) {
    const BranchId id = message.branch_id();
    const ResourceName resource{message.resource};
    if (message.verb == "leader")
      return LeaderSpoke{message.stamp(), message.floors, message.ended, message.resources};
    if (message.verb == "statement") return statement_of(message);
    if (message.verb == "prepare")
      return PrepareArrived{message.stamp(),
                            message.statements ? interactive_work_of(message) : work_of(message)};
    if (message.verb == "commit") return CommitArrived{message.stamp(), id, resource};
    if (message.verb == "rollback") return RollbackArrived{message.stamp(), id, resource};
    if (message.verb == "settle") return SettleArrived{message.stamp(), id, resource};
    if (message.verb == "bar")
      return RequestBarArrived{message.stamp(), {"shop", request_id(message.request.value())}, resource};
    if (message.verb == "resolve")
      return ResolveArrived{id, resource, {message.rest == "commit", "ticket 12", "ann"}};
    if (message.verb == "confirmed") return EpochConfirmed{message.epoch};
    if (message.verb == "durable") return JournalDurable{{std::stoull(message.rest)}};
    if (message.verb == "serving") return ResourceServing{resource};
    if (message.verb == "set-back") return ResourceSetBack{resource};
    if (message.verb == "stopped")
      return ResourceStopped{resource, error_with(ErrorCode::kUnavailable, "connection lost")};
    if (message.verb == "found") return PreparedFound{id, resource};
    if (message.verb == "floors-committed") return FloorsCommitted{resource, message.floors};
    if (message.verb == "deleted") return MarkersDeleted{resource, std::stoull(message.rest)};
    if (message.verb == "report") return BranchReported{id, branch_input(work_of(message), message.rest)};
    if (message.verb == "answer") {
      const std::map<std::string, GroupDecision> decisions{{"commit", GroupDecision::kCommit},
                                                           {"abort", GroupDecision::kAbort},
                                                           {"undecided", GroupDecision::kUndecided},
                                                           {"too-old", GroupDecision::kTooOld}};
      return InquiryAnswered{message.stamp(), id, decisions.at(message.rest)};
    }
    throw std::invalid_argument("the table cannot hear: " + message.verb);
  }

  std::vector<std::string> step(const TableInput& input) {
    if (const auto* durable = std::get_if<JournalDurable>(&input)) durable_ = durable->through.value;
    std::vector<std::string> lines;
    for (const auto& effect : table_->step(input, now_)) {
      if (const auto* append = std::get_if<AppendJournal>(&effect)) journal_.push_back(*append);
      lines.push_back(text(effect));
    }
    return lines;
  }

  static std::string text(const TableEffect& effect) {
    struct Words {
      std::string operator()(const ForBranch& f) const {
        const auto& id = f.id;
        return fmt::format("{}.{}/{} on {}: {}", id.transaction.epoch.value, id.transaction.sequence.value,
                           id.branch.value, f.resource.value, effect_text(f.effect));
      }
      std::string operator()(const AppendJournal& append) const { return effect_text(append); }
      std::string operator()(const RefuseCall& r) const {
        return fmt::format("refuse call: {}, effect {}{}{}", name_of(r.error.code), name_of(r.error.effect),
                           r.error.retryable ? ", retryable" : "", after_text(r.after));
      }
      std::string operator()(const AnswerHeartbeat& h) const {
        std::string line = "answer heartbeat";
        for (const auto& id : h.ended_taken)
          line += fmt::format(", ended {}.{}", id.epoch.value, id.sequence.value);
        return line + after_text(h.after);
      }
      std::string operator()(const ConfirmEpoch& c) const {
        return fmt::format("confirm epoch {}/{}", c.epoch.number.value, c.epoch.nonce.value);
      }
      std::string operator()(const StopService& s) const {
        return fmt::format("stop service: {}", name_of(s.reason.code));
      }
      std::string operator()(const ResumeService&) const { return "resume service"; }
      std::string operator()(const BarRequest& b) const {
        return fmt::format("bar request on {}{}", b.resource.value, after_text(b.after));
      }
      std::string operator()(const AnswerRequestBusy& b) const {
        return "answer request: undecided" + after_text(b.after);
      }
      std::string operator()(const RaiseFloors& r) const {
        return fmt::format("raise floors on {}: {}.{} requests {}", r.resource.value,
                           r.floors.position.epoch.value, r.floors.position.sequence.value,
                           r.floors.request_ms);
      }
      std::string operator()(const DeleteMarkers& d) const {
        return fmt::format("delete markers on {} below {}.{} requests {}", d.resource.value,
                           d.floors.position.epoch.value, d.floors.position.sequence.value,
                           d.floors.request_ms);
      }
    };
    return std::visit(Words{}, effect);
  }

  std::vector<std::string> checkpoint() {
    std::vector<std::string> lines;
    for (const auto& record : table_->checkpoint())
      lines.push_back(record_text(record));
    return lines;
  }

  // What was durable survives; what was not is gone.
  void restart(std::uint64_t incarnation) {
    for (const auto& append : journal_) {
      if (append.ticket.value <= durable_) kept_.push_back(append.record);
    }
    journal_.clear();
    durable_ = 0;
    JournalState state;
    for (const auto& record : kept_)
      state.apply(record);
    state.tail_was_cut = tail_was_cut_;
    options_.cluster = {"bank-x7k2p9"};
    options_.incarnation = {incarnation};
    options_.resources = {{{"pg"}, DatabaseKind::kPostgres}, {{"my"}, DatabaseKind::kMysql}};
    options_.delete_batch = 100;
    table_.emplace(options_, state, now_);
  }

  TableOptions options_;
  Instant now_{std::chrono::seconds(1000)};
  std::vector<AppendJournal> journal_;
  std::vector<JournalRecord> kept_;
  std::uint64_t durable_ = 0;
  bool tail_was_cut_ = false;
  std::optional<BranchTable> table_;
};

class BranchTableScript : public testing::TestWithParam<std::string> {};

TEST_P(BranchTableScript, AsksForExactlyThis) {
  ScriptedTable machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(BranchTable, BranchTableScript,
                         testing::ValuesIn(scripts_in("tests/scripts/branch_table")), script_name);

}  // namespace
}  // namespace troth::agent
