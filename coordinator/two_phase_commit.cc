#include "coordinator/two_phase_commit.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"
#include "coordinator/presumed_abort.h"

namespace troth::coordinator {
namespace {

std::optional<Instant> earlier(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

Error time_is_up() {
  return refusal(ErrorCode::kTimeout, troth::Effect::kNone,
                 "the transaction's time was up before all branches had voted", true);
}

}  // namespace

TwoPhaseCommit::TwoPhaseCommit(Options options)
    : id_(std::move(options.id)),
      request_(std::move(options.request)),
      digest_(options.digest),
      deadline_(options.deadline),
      ask_again_(options.ask_again),
      redrive_(options.redrive),
      callers_({options.caller}) {
  CHECK(!options.branches.empty(), "{} has no branch", id_.text());
  for (auto& work : options.branches) {
    const BranchNumber place{static_cast<std::uint32_t>(branches_.size() + 1)};
    branches_.push_back({work.number.value_or(place), std::move(work.resource), Stage::kWorking, {}, {}});
  }
}

TwoPhaseCommit::TwoPhaseCommit(const store::StoredDecision& commit, std::vector<ResourceName> resources,
                               Backoff redrive, Instant first_redrive)
    : id_(commit.transaction()),
      ask_again_(redrive),
      redrive_(redrive),
      phase_(Committing{0, first_redrive}),
      results_kept_(false) {
  const auto* record = commit.commit();
  CHECK(record != nullptr && !commit.ended, "{} is not an open commit", id_.text());
  CHECK(record->branches.size() == resources.size(), "{} has {} branches, {} resources", id_.text(),
        record->branches.size(), resources.size());
  request_ = record->request;
  digest_ = record->digest;
  for (std::size_t i = 0; i < resources.size(); ++i)
    branches_.push_back({record->branches[i].branch, std::move(resources[i]), Stage::kCommitting, {}, {}});
  for (const auto& resolution : commit.resolutions) {
    if (auto* branch = find(resolution.branch); branch != nullptr)
      branch->stage = resolution.commit ? Stage::kResolvedCommit : Stage::kResolvedRolledBack;
  }
}

std::vector<TwoPhaseCommit::Effect> TwoPhaseCommit::step(Instant now, Random& random, const Input& input) {
  std::vector<Effect> effects;
  std::visit(
      [&](const auto& in) {
        using I = std::decay_t<decltype(in)>;
        if constexpr (std::is_same_v<I, Begun>) begin(effects);
        if constexpr (std::is_same_v<I, VoteReceived>) take_vote(now, in, effects);
        if constexpr (std::is_same_v<I, VoteLost>) lose_vote(in, effects);
        if constexpr (std::is_same_v<I, CallJoined>) join(now, in.caller, effects);
        if constexpr (std::is_same_v<I, ChoiceAnswered>) take_choice(now, random, in.answer, effects);
        if constexpr (std::is_same_v<I, RecordLookedUp>) take_record(now, random, in.answer, effects);
        if constexpr (std::is_same_v<I, BranchFinished>) finish_branch(in, effects);
        if constexpr (std::is_same_v<I, BranchResolved>) resolve_branch(in, effects);
        if constexpr (std::is_same_v<I, AgentReturned>) {
          const auto* branch = find(in.branch);
          // A lost one is asked again, too: `troth repair` may have mended it.
          const bool open =
              branch != nullptr && (branch->stage == Stage::kCommitting || branch->stage == Stage::kLost);
          if (open && std::holds_alternative<Committing>(phase_)) effects.emplace_back(SendCommit{in.branch});
        }
        if constexpr (std::is_same_v<I, DrainEnded>) end_drain(effects);
        if constexpr (std::is_same_v<I, TimePassed>) pass_time(now, random, effects);
      },
      input);
  drop_results_nobody_waits_for();
  return effects;
}

// ---- preparing

void TwoPhaseCommit::begin(std::vector<Effect>& effects) {
  CHECK(std::holds_alternative<Preparing>(phase_), "{} begins twice", id_.text());
  for (const auto& branch : branches_)
    effects.emplace_back(SendPrepare{branch.number});
}

void TwoPhaseCommit::take_vote(Instant now, const VoteReceived& received, std::vector<Effect>& effects) {
  auto* branch = find(received.branch);
  // A doubled vote, or one that comes after the decision, says nothing new [T10].
  if (!std::holds_alternative<Preparing>(phase_) || branch == nullptr || branch->stage != Stage::kWorking)
    return;
  if (deadline_ <= now) return abort(time_is_up(), effects);
  std::visit(
      [&](const auto& vote) {
        using V = std::decay_t<decltype(vote)>;
        if constexpr (std::is_same_v<V, VotedYes>) {
          branch->stage = Stage::kPrepared;
          branch->result = vote.result;
        } else if constexpr (std::is_same_v<V, VotedReadOnly>) {
          branch->stage = Stage::kReadOnly;
          branch->result = vote.result;
        } else if constexpr (std::is_same_v<V, VotedNo>) {
          branch->stage = Stage::kGone;
          auto answer = aborted(id_, vote.refusal);
          std::get<Failed>(answer).error.effect = effect_on_request(vote.refusal);
          abort(vote.refusal.message, answer, effects);
        } else if constexpr (std::is_same_v<V, VotedAlreadyCommitted>) {
          branch->stage = Stage::kGone;
          abort(fmt::format("its request was committed as {}", vote.as.text()), already_committed(vote.as),
                effects);
        } else if constexpr (std::is_same_v<V, VotedUndecided>) {
          abort(vote.reason, effects);
        } else {
          // [T1] Not even another end replaces a yes: what this agent did is not a vote, and must be seen.
          auto detail = fmt::format(
              "the agent of resource '{}' says that branch {} has committed, which nobody "
              "asked of it",
              branch->resource.value, branch->number.value);
          const Failed answer{id_, refusal(ErrorCode::kInternal, troth::Effect::kUnknown, detail)};
          abort(std::move(detail), answer, effects);
          std::get<Over>(phase_).state = TransactionState::kHeuristicMixed;
        }
      },
      received.vote);
  // [T1] A yes or read-only vote of every branch, and nothing less.
  const bool all_voted = std::ranges::all_of(
      branches_, [](const Branch& b) { return b.stage == Stage::kPrepared || b.stage == Stage::kReadOnly; });
  if (all_voted) propose(effects);
}

// Also a read-only branch's agent: its locks went before all had voted, so the others may have read past
// them.
void TwoPhaseCommit::lose_vote(const VoteLost& lost, std::vector<Effect>& effects) {
  auto* branch = find(lost.branch);
  if (!std::holds_alternative<Preparing>(phase_) || branch == nullptr) return;
  if (branch->stage != Stage::kWorking && branch->stage != Stage::kReadOnly) return;
  if (lost.never_sent) branch->stage = Stage::kGone;
  abort(lost.reason, effects);
}

void TwoPhaseCommit::propose(std::vector<Effect>& effects) {
  std::vector<BranchNumber> writing;
  for (const auto& branch : branches_) {
    if (branch.stage == Stage::kReadOnly)
      effects.emplace_back(SendRelease{branch.number});
    else
      writing.push_back(branch.number);
  }
  if (!writing.empty()) {
    phase_ = Proposing{};
    effects.emplace_back(ProposeCommit{std::move(writing)});
    return;
  }
  phase_ = Over{TransactionState::kCommitted};
  const auto answer = committed(Acknowledgement::kApplied);
  for (const auto call : callers_.take_all())
    effects.emplace_back(AnswerCall{call, answer});
}

void TwoPhaseCommit::abort(Error reason, std::vector<Effect>& effects) {
  auto detail = reason.message;
  abort(std::move(detail), aborted(id_, std::move(reason)), effects);
}

void TwoPhaseCommit::abort(std::string detail, const Answer& answer, std::vector<Effect>& effects) {
  for (auto& branch : branches_) {
    if (branch.stage == Stage::kGone) continue;
    branch.stage = Stage::kGone;
    effects.emplace_back(SendRollback{branch.number});
  }
  detail_ = std::move(detail);
  phase_ = Over{TransactionState::kNotCommitted};
  for (const auto call : callers_.take_all())
    effects.emplace_back(AnswerCall{call, answer});
}

// ---- proposing

void TwoPhaseCommit::take_choice(Instant now, Random& random, const store::StoreAnswer& answer,
                                 std::vector<Effect>& effects) {
  if (!std::holds_alternative<Proposing>(phase_)) return;
  if (std::holds_alternative<store::Won>(answer)) return commit(now, random, effects);
  if (const auto* existing = std::get_if<store::Existing>(&answer))
    return take_existing(now, random, *existing, effects);
  // [T4] Fenced, unknown, refused: "not by this call". Whether the record stands, only a lookup can tell.
  effects.emplace_back(LookUpRecord{});
}

void TwoPhaseCommit::take_existing(Instant now, Random& random, const store::Existing& existing,
                                   std::vector<Effect>& effects) {
  const auto* holder = std::get_if<store::StoredDecision>(&existing.holder);
  if (holder != nullptr && holder->transaction() == id_) return take_decision(now, random, *holder, effects);
  // [T4] Another holder of the request key is a durable refusal: this record is written nowhere (attack 41).
  if (existing.key == store::TakenKey::kRequest && request_) {
    if (holder != nullptr)
      return abort(fmt::format("its request was committed as {}", holder->transaction().text()),
                   already_committed(*holder, digest_), effects);
    if (std::holds_alternative<store::BarredRecord>(existing.holder))
      return abort(request_barred(*request_), effects);
  }
  CHECK(false, "{}: the store answers its commit with a holder that has nothing to do with it", id_.text());
}

void TwoPhaseCommit::take_record(Instant now, Random& random, const store::StoreAnswer& answer,
                                 std::vector<Effect>& effects) {
  auto* proposing = std::get_if<Proposing>(&phase_);
  if (proposing == nullptr) return;
  const auto* found = std::get_if<store::Found>(&answer);
  if (found == nullptr) {
    proposing->ask_at = now + ask_again_.delay(proposing->attempts++, random);
    return;
  }
  if (found->decision) return take_decision(now, random, *found->decision, effects);
  switch (read_absence(id_, found->prefix, false)) {
    case Absence::kCannotTell: {
      // Still our own reign: nothing was written, and choosing again is safe [S5].
      std::vector<BranchNumber> writing;
      for (const auto& branch : branches_)
        if (branch.stage == Stage::kPrepared) writing.push_back(branch.number);
      effects.emplace_back(ProposeCommit{std::move(writing)});
      return;
    }
    case Absence::kTooOld:
      detail_ = "a newer reign has forgotten its outcome";
      phase_ = Over{TransactionState::kTooOld};
      for (const auto call : callers_.take_all())
        effects.emplace_back(AnswerCall{call, outcome_unknown(id_, detail_)});
      return;
    case Absence::kAborted:
      // [T5] No record inside a prefix that holds a newer epoch: our choose can never be applied any more.
      abort(refusal(ErrorCode::kStale, troth::Effect::kNone,
                    "a newer coordinator rules and never saw this commit", true),
            effects);
      return;
  }
}

void TwoPhaseCommit::take_decision(Instant now, Random& random, const store::StoredDecision& decision,
                                   std::vector<Effect>& effects) {
  if (decision.commit() != nullptr) return commit(now, random, effects);
  abort(refusal(ErrorCode::kStale, troth::Effect::kNone,
                fmt::format("abort was chosen: {}", std::get<store::AbortRecord>(decision.decision).reason),
                true),
        effects);
}

// ---- committing

// [T2] Reached only from the store's word that commit is chosen.
void TwoPhaseCommit::commit(Instant now, Random& random, std::vector<Effect>& effects) {
  phase_ = Committing{1, now + redrive_.delay(0, random)};
  for (auto& branch : branches_)
    if (branch.stage == Stage::kPrepared) branch.stage = Stage::kCommitting;
  const auto decided =
      callers_.take([](const Caller& c) { return c.acknowledgement == Acknowledgement::kDecided; });
  for (const auto call : decided)
    effects.emplace_back(AnswerCall{call, committed(Acknowledgement::kDecided)});
  for (const auto& branch : branches_)
    if (branch.stage == Stage::kCommitting) effects.emplace_back(SendCommit{branch.number});
}

void TwoPhaseCommit::finish_branch(const BranchFinished& finished, std::vector<Effect>& effects) {
  auto* branch = find(finished.branch);
  if (!std::holds_alternative<Committing>(phase_) || branch == nullptr) return;
  if (branch->stage != Stage::kCommitting && branch->stage != Stage::kLost) return;
  switch (finished.end) {
    case BranchEnd::kCommitted:
    case BranchEnd::kHeuristicCommitted: branch->stage = Stage::kCommitted; break;
    case BranchEnd::kUndecided: return;
    case BranchEnd::kRolledBack:
    case BranchEnd::kLost:
    case BranchEnd::kTooOld:
    case BranchEnd::kHeuristicRolledBack:
      branch->stage = Stage::kLost;
      branch->detail = finished.detail;
      detail_ =
          fmt::format("commit was chosen, but branch {} in resource '{}' is {}: {}", branch->number.value,
                      branch->resource.value, name_of(finished.end), finished.detail);
      break;
  }
  finish_if_acknowledged(effects);
}

void TwoPhaseCommit::resolve_branch(const BranchResolved& resolved, std::vector<Effect>& effects) {
  auto* branch = find(resolved.branch);
  if (!std::holds_alternative<Committing>(phase_) || branch == nullptr) return;
  if (branch->stage != Stage::kCommitting && branch->stage != Stage::kLost) return;
  branch->stage = resolved.commit ? Stage::kResolvedCommit : Stage::kResolvedRolledBack;
  finish_if_acknowledged(effects);
}

// [T6] The record ends when every branch is acknowledged, or vouched for by an operator; a lost one keeps it
// open.
void TwoPhaseCommit::finish_if_acknowledged(std::vector<Effect>& effects) {
  const auto any = [&](Stage stage) {
    return std::ranges::any_of(branches_, [&](const Branch& b) { return b.stage == stage; });
  };
  if (any(Stage::kCommitting)) return;
  const bool lost = any(Stage::kLost);
  const bool heuristic = lost || any(Stage::kResolvedRolledBack);
  const auto answer = final_answer();
  for (const auto call : callers_.take_all())
    effects.emplace_back(AnswerCall{call, answer});
  if (lost) return;
  phase_ = Over{heuristic ? TransactionState::kHeuristicMixed : TransactionState::kCommitted};
  effects.emplace_back(EndRecord{heuristic});
}

// ---- time and callers

// What a caller that wants everything applied hears when no acknowledgement is missing any more.
Answer TwoPhaseCommit::final_answer() const {
  if (state() == TransactionState::kCommitted) return committed(Acknowledgement::kApplied);
  return Failed{id_, refusal(ErrorCode::kSetBack, troth::Effect::kApplied, detail_)};
}

void TwoPhaseCommit::join(Instant now, const Caller& caller, std::vector<Effect>& effects) {
  if (over()) {
    effects.emplace_back(AnswerCall{caller.call, final_answer()});
    return;
  }
  callers_.add(caller);
  if (undecided()) return;
  const auto decided =
      callers_.take([](const Caller& c) { return c.acknowledgement == Acknowledgement::kDecided; });
  for (const auto call : decided)
    effects.emplace_back(AnswerCall{call, committed(Acknowledgement::kDecided)});
  answer_overdue(now, effects);
}

void TwoPhaseCommit::end_drain(std::vector<Effect>& effects) {
  if (!std::holds_alternative<Preparing>(phase_)) return answer_overdue(Instant::max(), effects);
  abort(refusal(ErrorCode::kUnavailable, troth::Effect::kNone, "this coordinator stops serving", true),
        effects);
}

void TwoPhaseCommit::pass_time(Instant now, Random& random, std::vector<Effect>& effects) {
  if (std::holds_alternative<Preparing>(phase_) && deadline_ <= now) {
    // [T4] Before the proposal the leader's own deadline aborts; nobody's no is waited for (attack 61).
    return abort(time_is_up(), effects);
  }
  if (auto* proposing = std::get_if<Proposing>(&phase_);
      proposing && proposing->ask_at && *proposing->ask_at <= now) {
    proposing->ask_at.reset();
    effects.emplace_back(LookUpRecord{});
  }
  if (auto* committing = std::get_if<Committing>(&phase_); committing && committing->redrive_at <= now) {
    committing->redrive_at = now + redrive_.delay(committing->attempts++, random);
    for (const auto& branch : branches_)
      if (branch.stage == Stage::kCommitting) effects.emplace_back(SendCommit{branch.number});
    if (all_vouched_for()) finish_if_acknowledged(effects);
  }
  answer_overdue(now, effects);
}

void TwoPhaseCommit::answer_overdue(Instant now, std::vector<Effect>& effects) {
  for (const auto call : callers_.take_overdue(now)) {
    if (std::holds_alternative<Committing>(phase_))
      effects.emplace_back(AnswerCall{call, committed(Acknowledgement::kDecided)});
    else if (std::holds_alternative<Proposing>(phase_))
      effects.emplace_back(AnswerCall{call, outcome_unknown(id_, "the decision store has not answered")});
    else
      effects.emplace_back(
          AnswerCall{call, outcome_unknown(id_, "an earlier call with this request_id runs")});
  }
}

std::optional<Instant> TwoPhaseCommit::due() const {
  if (over()) return std::nullopt;
  auto due = callers_.earliest_deadline();
  if (std::holds_alternative<Preparing>(phase_)) due = earlier(due, deadline_);
  if (const auto* proposing = std::get_if<Proposing>(&phase_)) due = earlier(due, proposing->ask_at);
  if (const auto* committing = std::get_if<Committing>(&phase_)) {
    const bool waits =
        std::ranges::any_of(branches_, [](const Branch& b) { return b.stage == Stage::kCommitting; });
    if (waits || all_vouched_for()) due = earlier(due, committing->redrive_at);
  }
  return due;
}

// An operator had vouched for all of them, and the coordinator ended before the record said that it has ended.
bool TwoPhaseCommit::all_vouched_for() const {
  return std::ranges::all_of(branches_, [](const Branch& b) {
    return b.stage == Stage::kResolvedCommit || b.stage == Stage::kResolvedRolledBack;
  });
}

// ---- what it knows

TransactionState TwoPhaseCommit::state() const {
  if (std::holds_alternative<Preparing>(phase_)) return TransactionState::kPreparing;
  if (std::holds_alternative<Proposing>(phase_)) return TransactionState::kPending;
  if (const auto* over = std::get_if<Over>(&phase_)) return over->state;
  const bool mixed = std::ranges::any_of(branches_, [](const Branch& b) {
    return b.stage == Stage::kLost || b.stage == Stage::kResolvedRolledBack;
  });
  return mixed ? TransactionState::kHeuristicMixed : TransactionState::kCommitted;
}

bool TwoPhaseCommit::undecided() const {
  return std::holds_alternative<Preparing>(phase_) || std::holds_alternative<Proposing>(phase_);
}

bool TwoPhaseCommit::has_voted(BranchNumber number) const {
  const auto* branch = find(number);
  return branch != nullptr && branch->stage != Stage::kWorking;
}

bool TwoPhaseCommit::awaits_acknowledgement(BranchNumber number) const {
  const auto* branch = find(number);
  return branch != nullptr && (branch->stage == Stage::kCommitting || branch->stage == Stage::kLost);
}

std::vector<BranchReport> TwoPhaseCommit::branches() const {
  const auto word = [](Stage stage) {
    switch (stage) {
      case Stage::kWorking: return "preparing";
      case Stage::kPrepared: return "prepared";
      case Stage::kReadOnly: return "read-only";
      case Stage::kGone: return "rolled back";
      case Stage::kCommitting: return "committing";
      case Stage::kCommitted: return "committed";
      case Stage::kLost: return "lost";
      case Stage::kResolvedCommit: return "resolved: committed";
      case Stage::kResolvedRolledBack: return "resolved: rolled back";
    }
    return "invalid";
  };
  std::vector<BranchReport> reports;
  for (const auto& branch : branches_)
    reports.push_back({branch.number, branch.resource, word(branch.stage)});
  return reports;
}

// Branches of a redriven commit are those of its record, so a number is not always a place.
const TwoPhaseCommit::Branch* TwoPhaseCommit::find(BranchNumber number) const {
  const auto at = std::ranges::find(branches_, number, &Branch::number);
  return at == branches_.end() ? nullptr : &*at;
}

TwoPhaseCommit::Branch* TwoPhaseCommit::find(BranchNumber number) {
  const auto at = std::ranges::find(branches_, number, &Branch::number);
  return at == branches_.end() ? nullptr : &*at;
}

Committed TwoPhaseCommit::committed(Acknowledgement acknowledged) const {
  Committed answer{id_, {}, !results_kept_, acknowledged, {}};
  for (const auto& branch : branches_) {
    if (results_kept_) answer.results.push_back(branch.result);
    if (branch.stage == Stage::kCommitting || branch.stage == Stage::kLost)
      answer.pending.push_back(branch.resource);
  }
  return answer;
}

// A decided transaction may wait long for a dead agent; rows that nobody will hear of do not wait with it.
void TwoPhaseCommit::drop_results_nobody_waits_for() {
  if (!results_kept_ || undecided() || !callers_.empty()) return;
  results_kept_ = false;
  for (auto& branch : branches_)
    std::string().swap(branch.result);
}

}  // namespace troth::coordinator
