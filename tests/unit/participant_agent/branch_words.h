// tests/unit/participant_agent/branch_words.h
//
// The branch's inputs and effects in the words of the golden scripts.
#pragma once

#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "participant_agent/branch.h"

namespace troth::agent {

inline TransactionId transaction(std::uint32_t epoch, std::uint64_t sequence,
                                 std::optional<ResourceNumber> one_phase = std::nullopt) {
  return {{"bank-x7k2p9"}, {epoch}, {sequence}, one_phase};
}

inline RequestId request_id(char letter) {
  return *RequestId::parse(fmt::format("0192f0c1-2b3c-7d4e-8f50-0123456789a{}", letter));
}

inline Digest digest_of(char letter) {
  Digest digest;
  digest.bytes.fill(static_cast<std::uint8_t>(letter));
  return digest;
}

inline Error error_with(ErrorCode code, std::string message = "as the database said") {
  Error error;
  error.code = code;
  error.effect = Effect::kNone;
  error.message = std::move(message);
  return error;
}

inline Work work_for(BranchId id) {
  Work work;
  work.id = std::move(id);
  work.resource = {"pg"};
  work.epoch = {5};
  work.incarnation = {2};
  work.request = RequestKey{"shop", request_id('a')};
  work.digest = digest_of('d');
  work.statements = {Statement{"UPDATE account SET balance = balance - 1 WHERE id = 7", {}, std::nullopt}};
  work.announced_statements = 1;
  work.timeout = std::chrono::seconds(10);
  return work;
}

inline MarkerRow marker_of(const Work& work, MarkerState state) {
  return {work.id.transaction.text(), work.id.branch, state, work.request, work.digest, {5}};
}

// What a word about the rows at a branch's keys stands for.
inline std::vector<MarkerRow> rows_for(const Work& work, const std::string& words) {
  MarkerRow other = marker_of(work, MarkerState::kCommitted);
  other.transaction = "bank-x7k2p9.4.9";
  if (words == "none") return {};
  if (words == "committed") return {marker_of(work, MarkerState::kCommitted)};
  if (words == "repaired") return {marker_of(work, MarkerState::kRepaired)};
  if (words == "local") return {marker_of(work, MarkerState::kLocal)};
  if (words == "barred") {
    MarkerRow barred = marker_of(work, MarkerState::kBarred);
    barred.request.reset();
    barred.digest.reset();
    return {barred};
  }
  if (words == "same request") return {other};
  if (words == "same request, resolved") {
    other.state = MarkerState::kResolved;
    return {other};
  }
  if (words == "other content") {
    other.digest = digest_of('x');
    return {other};
  }
  if (words == "request barred") {
    other.state = MarkerState::kBarred;
    other.digest.reset();
    return {other};
  }
  throw std::invalid_argument("no such rows: " + words);
}

// Cuts `prefix` and a blank off the front of `words`.
inline std::optional<std::string> behind(const std::string& words, const std::string& prefix) {
  if (words == prefix) return "";
  if (!words.starts_with(prefix + " ")) return std::nullopt;
  return words.substr(prefix.size() + 1);
}

inline BranchInput branch_input(const Work& work, const std::string& words) {
  const std::vector<StatementResult> one_row_changed{StatementResult{{}, {}, 1, std::nullopt}};
  if (words == "work") return WorkRequested{};
  if (const auto id = behind(words, "bound")) return SessionBound{{{std::stoull(*id)}, {1000}}};
  if (const auto number = behind(words, "statement")) {
    StatementRequested asked;
    asked.statement.number = static_cast<std::uint32_t>(std::stoul(*number));
    asked.marks = words.find("reads") == std::string::npos;
    std::string sql = asked.marks ? "UPDATE account SET balance = 0" : "SELECT balance FROM account";
    if (words.find("other content") != std::string::npos) sql += " WHERE id = 7";
    asked.statement.statement = Statement{sql, {}, std::nullopt};
    asked.timeout = std::chrono::seconds(60);
    return asked;
  }
  if (const auto number = behind(words, "rows of")) {
    StatementRequested asked;
    asked.statement.number = static_cast<std::uint32_t>(std::stoul(*number));
    asked.timeout = std::chrono::seconds(60);
    return asked;
  }
  if (words == "ran") return StatementRan{one_row_changed.front()};
  if (const auto count = behind(words, "prepare"))
    return PrepareRequested{static_cast<std::uint32_t>(std::stoul(*count)), std::chrono::seconds(10)};
  if (words == "prepared") return WorkFinished{WorkPrepared{one_row_changed}};
  if (words == "committed") return WorkFinished{WorkCommitted{one_row_changed}};
  if (words == "read") return WorkFinished{WorkRead{one_row_changed}};
  if (words == "failed") return WorkFinished{WorkFailed{error_with(ErrorCode::kStatementFailed)}};
  if (words == "wanted to write") {
    Error error = error_with(ErrorCode::kForbiddenStatement);
    error.sqlstate = "25006";
    return WorkFinished{WorkFailed{error}};
  }
  if (const auto rows = behind(words, "collided")) return WorkFinished{MarkerCollided{rows_for(work, *rows)}};
  if (words == "lost") return WorkFinished{WorkLost{error_with(ErrorCode::kUnavailable), true}};
  if (words == "lost before the ending")
    return WorkFinished{WorkLost{error_with(ErrorCode::kUnavailable), false}};
  if (words == "session ended") return SessionEnded{};
  if (words == "commit") return CommitRequested{};
  if (words == "rollback") return RollbackRequested{};
  if (words == "settle") return SettleRequested{};
  if (words == "resolve commit") return ResolveRequested{true, "ticket 12", "ann"};
  if (words == "resolve rollback") return ResolveRequested{false, "ticket 12", "ann"};
  if (words == "too old") return TooOldTold{};
  if (words == "set back") return SetBackUnderneath{};
  if (words == "found prepared again") return FoundPreparedAgain{};
  if (words == "finish done") return FinishAttempted{FinishAttempted::Outcome::kDone, ""};
  if (words == "finish unknown") return FinishAttempted{FinishAttempted::Outcome::kUnknownXid, ""};
  if (words == "finish held")
    return FinishAttempted{FinishAttempted::Outcome::kHeld, "another session holds it"};
  if (words == "holder ended") return HolderEnded{};
  if (words == "holder stays") return HolderEnded{"it does not end"};
  if (words == "finish failed") return FinishAttempted{FinishAttempted::Outcome::kFailed, "connection lost"};
  if (words == "markers unread") return MarkersRead{std::nullopt};
  if (const auto rows = behind(words, "markers")) return MarkersRead{rows_for(work, *rows)};
  if (words == "barrier committed") return BarrierAttempted{BarrierAttempted::Outcome::kCommitted, ""};
  if (words == "barrier collided") return BarrierAttempted{BarrierAttempted::Outcome::kCollided, ""};
  if (words == "barrier undecided")
    return BarrierAttempted{BarrierAttempted::Outcome::kUndecided, "it waits"};
  if (words == "resolution marked") return ResolutionMarked{};
  if (words == "resolution not marked") return ResolutionMarked{"connection lost"};
  if (words == "time") return TimePassed{};
  throw std::invalid_argument("the branch cannot hear: " + words);
}

inline std::string after_text(JournalTicket after) {
  return after.value == 0 ? "" : fmt::format(" after #{}", after.value);
}

inline std::string record_text(const JournalRecord& record) {
  std::string text(name_of(record));
  if (const auto* finished = std::get_if<Finished>(&record))
    text += fmt::format(" ({})", name_of(finished->end));
  if (const auto* resolved = std::get_if<Resolved>(&record))
    text += fmt::format(" ({}, {}, {})", resolved->commit ? "commit" : "rollback", resolved->reason,
                        resolved->operator_name);
  if (const auto* seen = std::get_if<EpochSeen>(&record))
    text += fmt::format(" {}/{}", seen->epoch.number.value, seen->epoch.nonce.value);
  if (const auto* doubted = std::get_if<ReignDoubted>(&record))
    text += fmt::format(" {}/{}", doubted->rival.number.value, doubted->rival.nonce.value);
  if (const auto* used = std::get_if<TakeOverUsed>(&record)) text += " " + used->resource.value;
  if (const auto* told = std::get_if<TakeOverTold>(&record)) text += " " + told->resource.value;
  if (const auto* accepted = std::get_if<SetBackAccepted>(&record)) text += " " + accepted->resource.value;
  if (const auto* begun = std::get_if<BranchBegun>(&record); begun != nullptr && begun->set_back)
    text += ", set back since";
  if (const auto* raised = std::get_if<WatermarkRaised>(&record))
    text += fmt::format(" {}.{}", raised->watermark.epoch.value, raised->watermark.sequence.value);
  if (const auto* raised = std::get_if<FloorRaised>(&record))
    text += fmt::format(" {} {}.{} requests {}", raised->resource.value, raised->floors.position.epoch.value,
                        raised->floors.position.sequence.value, raised->floors.request_ms);
  if (const auto* ended = std::get_if<EndedByLeader>(&record)) {
    for (const auto& id : ended->transactions)
      text += fmt::format(" {}.{}", id.epoch.value, id.sequence.value);
  }
  const auto row_text = [](const OwnerRow& row) {
    return fmt::format(" {} {}/{} counter {}", row.agent.value, row.incarnation.value, row.nonce.value,
                       row.counter);
  };
  if (const auto* claiming = std::get_if<Claiming>(&record)) text += row_text(claiming->row);
  if (const auto* owns = std::get_if<Owns>(&record)) text += row_text(owns->row);
  if (const auto* started = std::get_if<AgentStarted>(&record))
    text += fmt::format(" {}", started->incarnation.value);
  if (const auto* counter = std::get_if<CounterRaised>(&record)) text += fmt::format(" {}", counter->counter);
  if (const auto* identity = std::get_if<ResourceIdentity>(&record))
    text += fmt::format(" {} timeline {}", identity->server, identity->timeline);
  return text;
}

inline std::string effect_text(const AppendJournal& append) {
  return fmt::format("journal #{}: {}{}", append.ticket.value, record_text(append.record),
                     append.unhurried ? ", unhurried" : "");
}

inline std::string effect_text(const BranchEffect& effect) {
  struct Words {
    std::string operator()(const RunWork& run) const {
      return fmt::format("run work{}{}", run.read_only ? ", read only" : "", run.hold ? ", hold" : "");
    }
    std::string operator()(const RunStatement& run) const {
      return fmt::format("run statement {}{}{}", run.number, run.first ? ", first" : "",
                         run.marks ? ", marker before it" : "");
    }
    std::string operator()(const PrepareOpen& prepare) const {
      return fmt::format("prepare open{}{}", prepare.marked ? "" : ", no marker yet",
                         prepare.hold ? ", hold" : "");
    }
    std::string operator()(const RollBackOpen&) const { return "roll back open"; }
    std::string operator()(const AnswerStatement& statement) const {
      const auto& answer = statement.answer;
      if (!answer.refusal) return "answer statement: rows" + after_text(statement.after);
      return fmt::format("answer statement: {}, effect {}{}{}", name_of(answer.refusal->code),
                         name_of(answer.refusal->effect), answer.over ? ", over" : "",
                         after_text(statement.after));
    }
    std::string operator()(const CancelWork&) const { return "cancel work"; }
    std::string operator()(const EndSession&) const { return "end session"; }
    std::string operator()(const ReleaseSession&) const { return "release session"; }
    std::string operator()(const FinishPrepared& finish) const {
      return fmt::format("finish prepared: {}{}", finish.commit ? "commit" : "roll back",
                         after_text(finish.after));
    }
    std::string operator()(const EndHolder&) const { return "end holder"; }
    std::string operator()(const ReadMarkers&) const { return "read markers"; }
    std::string operator()(const InsertBarrier&) const { return "insert barrier"; }
    std::string operator()(const MarkResolved&) const { return "mark resolved"; }
    std::string operator()(const Inquire&) const { return "inquire"; }
    std::string operator()(const AppendJournal& append) const { return effect_text(append); }
    std::string operator()(const AnswerVote& vote) const {
      const auto& answer = vote.answer;
      return fmt::format("answer vote: {}{}{}{}{}", name_of(answer.vote),
                         answer.refusal ? fmt::format(" ({})", name_of(answer.refusal->code)) : "",
                         answer.committed_as ? fmt::format(" as {}", *answer.committed_as) : "",
                         answer.results.empty() ? "" : ", with results", after_text(vote.after));
    }
    std::string operator()(const AnswerFinish& finish) const {
      return fmt::format("answer end: {}{}{}", name_of(finish.answer.end),
                         finish.answer.detail.empty() ? "" : fmt::format(" ({})", finish.answer.detail),
                         after_text(finish.after));
    }
    std::string operator()(const Refuse& refuse) const {
      return fmt::format("refuse: {}, effect {}", name_of(refuse.error.code), name_of(refuse.error.effect));
    }
  };
  return std::visit(Words{}, effect);
}

}  // namespace troth::agent
