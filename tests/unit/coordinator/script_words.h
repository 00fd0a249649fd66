// tests/unit/coordinator/script_words.h
//
// How the coordinator's values read in scripts.
#pragma once

#include <chrono>
#include <string>

#include <fmt/format.h>

#include "coordinator/answers.h"
#include "coordinator/transaction.h"
#include "tests/unit/coordinator/script.h"

namespace troth::coordinator {

inline const ClusterId kScriptCluster{"bank-x7k2p9"};

// "5.7" or "5.7.s2", without the cluster that all of them share.
inline std::string write_id(const TransactionId& id) {
  return id.text().substr(kScriptCluster.value.size() + 1);
}
inline TransactionId read_id(const std::string& word) {
  const auto id = TransactionId::parse(kScriptCluster.value + "." + word);
  EXPECT_TRUE(id) << "'" << word << "' is no transaction";
  return id.value_or(TransactionId{});
}

// "10s", "250ms", "7d"
inline Duration read_duration(const std::string& word) {
  std::size_t digits = 0;
  const auto count = std::stoll(word, &digits);
  const auto unit = word.substr(digits);
  if (unit == "ms") return std::chrono::milliseconds{count};
  if (unit == "s") return std::chrono::seconds{count};
  if (unit == "d") return std::chrono::hours{24 * count};
  ADD_FAILURE() << "'" << word << "' is no duration";
  return {};
}

inline BranchEnd read_end(Words& words) {
  if (words.accept("committed by an operator")) return BranchEnd::kHeuristicCommitted;
  if (words.accept("rolled back by an operator")) return BranchEnd::kHeuristicRolledBack;
  if (words.accept("committed")) return BranchEnd::kCommitted;
  if (words.accept("rolled back")) return BranchEnd::kRolledBack;
  if (words.accept("undecided")) return BranchEnd::kUndecided;
  if (words.accept("lost")) return BranchEnd::kLost;
  if (words.accept("too old")) return BranchEnd::kTooOld;
  ADD_FAILURE() << "'" << words.peek() << "' is no end of a branch";
  return BranchEnd::kUndecided;
}

// "yes [rows]", "no [busy, overloaded ..]", "read-only [rows]", "committed [rows]", "already committed as 5.3", "undecided"
inline Vote read_vote(Words& words) {
  const auto rows = [&] { return words.empty() ? std::string() : words.next(); };
  if (words.accept("yes")) return VotedYes{rows()};
  if (words.accept("read-only")) return VotedReadOnly{rows()};
  if (words.accept("committed")) return VotedCommitted{rows()};
  if (words.accept("already committed as")) return VotedAlreadyCommitted{read_id(words.next())};
  if (words.accept("undecided"))
    return VotedUndecided{refusal(ErrorCode::kUnavailable, Effect::kUnknown, "the session was lost")};
  if (words.accept("no stale"))
    return VotedNo{refusal(ErrorCode::kStale, Effect::kUnknown, "another incarnation")};
  if (words.accept("no barred")) return VotedNo{refusal(ErrorCode::kBarred, Effect::kNone, "barred there")};
  if (words.accept("no heuristic"))
    return VotedNo{refusal(ErrorCode::kHeuristic, Effect::kNone, "an operator committed it there")};
  if (words.accept("no busy")) return VotedNo{refusal(ErrorCode::kBusy, Effect::kNone, "busy", true)};
  if (words.accept("no overloaded"))
    return VotedNo{refusal(ErrorCode::kOverloaded, Effect::kNone, "no session is free", true)};
  if (words.accept("no not_owner"))
    return VotedNo{refusal(ErrorCode::kNotOwner, Effect::kNone, "another agent owns it")};
  if (words.accept("no request_id_too_old"))
    return VotedNo{refusal(ErrorCode::kRequestIdTooOld, Effect::kNone, "below the resource's floor")};
  if (words.accept("no unavailable"))
    return VotedNo{refusal(ErrorCode::kUnavailable, Effect::kNone, "lost", true)};
  if (words.accept("no"))
    return VotedNo{refusal(ErrorCode::kStatementFailed, Effect::kNone, "balance below zero")};
  ADD_FAILURE() << "'" << words.peek() << "' is no vote";
  return VotedNo{};
}

inline std::string write_answer(const Answer& answer) {
  if (const auto* failed = std::get_if<Failed>(&answer)) {
    return fmt::format("{} {}, effect {}",
                       failed->transaction ? write_id(*failed->transaction) : "nothing begun:",
                       name_of(failed->error.code), name_of(failed->error.effect));
  }
  if (const auto* begun = std::get_if<Begun>(&answer)) return write_id(begun->transaction) + " begun";
  if (const auto* rolled_back = std::get_if<RolledBack>(&answer))
    return write_id(rolled_back->transaction) + " rolled back";
  const auto& committed = std::get<Committed>(answer);
  std::string text =
      fmt::format("{} {}committed, {}", write_id(committed.transaction),
                  committed.already_committed ? "already " : "", name_of(committed.acknowledged));
  for (const auto& rows : committed.results)
    if (!rows.empty()) text += " " + rows;
  if (!committed.pending.empty()) text += ", pending";
  for (const auto& resource : committed.pending)
    text += " " + resource.value;
  return text;
}

}  // namespace troth::coordinator
