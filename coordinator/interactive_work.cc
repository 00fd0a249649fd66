#include "coordinator/interactive_work.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"

namespace troth::coordinator {

InteractiveWork::InteractiveWork(Options options) : options_(std::move(options)) {}

std::vector<InteractiveWork::Effect> InteractiveWork::step(Instant now, const Input& input) {
  std::vector<Effect> effects;
  if (over()) return effects;
  std::visit([&](const auto& in) { on(now, in, effects); }, input);
  return effects;
}

// ---- calls

void InteractiveWork::on(Instant now, const Begun& begun, std::vector<Effect>& effects) {
  touch(now);
  effects.emplace_back(AnswerCall{begun.call, coordinator::Begun{options_.id}});
}

void InteractiveWork::on(Instant now, const StatementAsked& asked, std::vector<Effect>& effects) {
  auto& branch = at(asked.branch);
  if (branch.running && asked.number == branch.running->number) {
    if (branch.running->digest != asked.digest)
      return refuse(asked.call, branch, ErrorCode::kInvalidArgument,
                    fmt::format("statement {} runs with other content", asked.number), false, effects);
    if (branch.running->waiting.size() >= options_.waiting_calls)
      return refuse(asked.call, branch, ErrorCode::kOverloaded,
                    fmt::format("too many calls wait for statement {}", asked.number), true, effects);
    branch.running->waiting.push_back(asked.call);
    return;
  }
  if (asked.number == branch.answered && asked.number > 0) {
    if (branch.last != asked.digest)
      return refuse(asked.call, branch, ErrorCode::kInvalidArgument,
                    fmt::format("statement {} was asked before with other content; the next is {}",
                                asked.number, branch.answered + 1),
                    false, effects);
    return read_again(branch, asked.call, asked.number, effects);
  }
  if (branch.running)
    return refuse(asked.call, branch, ErrorCode::kBusy,
                  fmt::format("statement {} still runs; wait for its answer", branch.running->number), true,
                  effects);
  if (asked.number != branch.answered + 1)
    return refuse(
        asked.call, branch, ErrorCode::kInvalidArgument,
        fmt::format("statement {} is out of its turn: the next is {}, and only the last one's answer is kept",
                    asked.number, branch.answered + 1),
        false, effects);
  branch.running = Running{asked.number, asked.digest, asked.call, {asked.call}};
  effects.emplace_back(SendStatement{asked.call, branch.number, asked.number});
  touch(now);
}

void InteractiveWork::on(Instant /*now*/, const RowsAsked& asked, std::vector<Effect>& effects) {
  auto& branch = at(asked.branch);
  if (asked.number == 0 || asked.number != branch.answered)
    return refuse(asked.call, branch, ErrorCode::kInvalidArgument,
                  fmt::format("only the rows of the last statement are kept, which is {}", branch.answered),
                  false, effects);
  read_again(branch, asked.call, asked.number, effects);
}

void InteractiveWork::read_again(Branch& branch, CallId call, std::uint32_t number,
                                 std::vector<Effect>& effects) {
  if (branch.running)
    return refuse(call, branch, ErrorCode::kBusy,
                  fmt::format("statement {} runs, and the answer to {} is not kept beside it",
                              branch.running->number, number),
                  true, effects);
  if (branch.reading.size() >= options_.waiting_calls)
    return refuse(call, branch, ErrorCode::kOverloaded, "too many calls read its last answer", true, effects);
  branch.reading.push_back(call);
  idle_until_.reset();
  effects.emplace_back(SendStatement{call, branch.number, number});
}

void InteractiveWork::on(Instant /*now*/, const CommittedEmpty& committed, std::vector<Effect>& effects) {
  CHECK(work().empty(), "{} has branches to prepare", options_.id.text());
  state_ = TransactionState::kCommitted;
  effects.emplace_back(
      AnswerCall{committed.call, Committed{options_.id, {}, false, Acknowledgement::kApplied, {}}});
}

void InteractiveWork::on(Instant /*now*/, const RollbackAsked& asked, std::vector<Effect>& effects) {
  end(refusal(ErrorCode::kStale, troth::Effect::kNone, "the client rolled it back"), effects);
  effects.emplace_back(AnswerCall{asked.call, RolledBack{options_.id}});
}

// ---- agents

void InteractiveWork::on(Instant now, const StatementAnswered& answered, std::vector<Effect>& effects) {
  auto& branch = at(answered.branch);
  const auto& answer = answered.answer;
  // Whoever waits for this one, or for another, hears why all of it has ended.
  if (answer.refusal && answer.over) {
    branch.gone = true;
    return end(*answer.refusal, effects);
  }
  if (std::erase(branch.reading, answered.call) > 0) {
    auto result = answer.refusal ? Result<std::string>(std::unexpected(*answer.refusal)) : answer.result;
    effects.emplace_back(AnswerStatement{answered.call, std::move(result), false});
    return touch(now);
  }
  if (!branch.running || branch.running->sent_as != answered.call) return;  // doubled [T10]
  const auto running = std::move(*branch.running);
  branch.running.reset();
  if (!answer.refusal) {
    branch.answered = running.number;
    branch.last = running.digest;
  }
  for (const auto call : running.waiting) {
    auto result = answer.refusal ? Result<std::string>(std::unexpected(*answer.refusal)) : answer.result;
    effects.emplace_back(AnswerStatement{call, std::move(result), false});
  }
  touch(now);
}

// Whether it ran nobody knows, so that all of it ends; unless the agent never had it.
void InteractiveWork::on(Instant now, const StatementLost& lost, std::vector<Effect>& effects) {
  auto& branch = at(lost.branch);
  const bool reading = std::ranges::find(branch.reading, lost.call) != branch.reading.end();
  const bool running = branch.running && branch.running->sent_as == lost.call;
  if (!reading && !running) return;
  if (!lost.never_sent && !reading) return end(lost.reason, effects);
  std::vector<CallId> waiting{lost.call};
  if (running) {
    waiting = branch.running->waiting;
    branch.running.reset();
  }
  std::erase(branch.reading, lost.call);
  auto reason = lost.reason;
  reason.effect = troth::Effect::kNone;  // of this statement
  for (const auto call : waiting)
    effects.emplace_back(AnswerStatement{call, std::unexpected(reason), false});
  touch(now);
}

void InteractiveWork::on(Instant /*now*/, const BranchLost& lost, std::vector<Effect>& effects) {
  end(lost.reason, effects);
}

// ---- its end

void InteractiveWork::on(Instant /*now*/, const DrainEnded& /*ended*/, std::vector<Effect>& effects) {
  end(refusal(ErrorCode::kUnavailable, troth::Effect::kNone, "this coordinator stops serving", true),
      effects);
}

void InteractiveWork::on(Instant now, const TimePassed& /*passed*/, std::vector<Effect>& effects) {
  using std::chrono::milliseconds;
  if (options_.deadline <= now) {
    return end(
        refusal(ErrorCode::kTimeout, troth::Effect::kNone,
                "its time was up before commit was called: give a longer timeout_ms, or do less in one "
                "transaction",
                true),
        effects);
  }
  if (idle_until_ && *idle_until_ <= now) {
    end(refusal(ErrorCode::kTimeout, troth::Effect::kNone,
                fmt::format("no call came for {} ms: give a longer idle_timeout_ms, or call sooner",
                            std::chrono::ceil<milliseconds>(options_.idle_timeout).count()),
                true),
        effects);
  }
}

void InteractiveWork::end(Error reason, std::vector<Effect>& effects) {
  reason.effect = effect_on_request(reason);
  detail_ = reason.message;
  state_ = TransactionState::kNotCommitted;
  idle_until_.reset();
  for (auto& branch : branches_) {
    const bool opened = branch.answered > 0 || branch.running;
    if (!std::exchange(branch.gone, true) && opened) effects.emplace_back(SendRollback{branch.number});
    std::vector<CallId> waiting = std::exchange(branch.reading, {});
    if (branch.running)
      waiting.insert(waiting.end(), branch.running->waiting.begin(), branch.running->waiting.end());
    branch.running.reset();
    for (const auto call : waiting)
      effects.emplace_back(AnswerStatement{call, std::unexpected(reason), true});
  }
}

void InteractiveWork::refuse(CallId call, const Branch& branch, ErrorCode code, std::string message,
                             bool retryable, std::vector<Effect>& effects) {
  auto error = refusal(code, troth::Effect::kNone, std::move(message), retryable);
  error.resource = branch.resource.value;
  error.branch = branch.number.value;
  effects.emplace_back(AnswerStatement{call, std::unexpected(std::move(error)), false});
}

// ---- what it knows

std::optional<BranchNumber> InteractiveWork::branch_in(const ResourceName& resource) const {
  const auto found = std::ranges::find(branches_, resource, &Branch::resource);
  if (found == branches_.end()) return std::nullopt;
  return found->number;
}

BranchNumber InteractiveWork::add_branch(ResourceName resource) {
  CHECK(!branch_in(resource), "resource '{}' has a branch already", resource.value);
  const BranchNumber number{static_cast<std::uint32_t>(branches_.size() + 1)};
  Branch branch;
  branch.number = number;
  branch.resource = std::move(resource);
  branches_.push_back(std::move(branch));
  return number;
}

Status InteractiveWork::ready_to_commit() const {
  for (const auto& branch : branches_) {
    if (!branch.running) continue;
    auto error = refusal(
        ErrorCode::kBusy, troth::Effect::kNone,
        fmt::format(
            "statement {} still runs in resource '{}'; wait for its answer, then commit, or roll back",
            branch.running->number, branch.resource.value),
        true);
    error.resource = branch.resource.value;
    return std::unexpected(std::move(error));
  }
  return {};
}

std::vector<CallId> InteractiveWork::end_reading() {
  std::vector<CallId> calls;
  for (auto& branch : branches_) {
    calls.insert(calls.end(), branch.reading.begin(), branch.reading.end());
    branch.reading.clear();
  }
  return calls;
}

// A branch whose first statement was refused before it ran was never opened.
std::vector<BranchWork> InteractiveWork::work() const {
  std::vector<BranchWork> opened;
  for (const auto& branch : branches_)
    if (branch.answered > 0) opened.push_back({branch.resource, options_.read_only, branch.number});
  return opened;
}

std::vector<std::uint32_t> InteractiveWork::statements() const {
  std::vector<std::uint32_t> counts;
  for (const auto& branch : branches_)
    counts.push_back(branch.answered);
  return counts;
}

bool InteractiveWork::idle() const {
  return std::ranges::none_of(branches_, [](const Branch& b) { return b.running || !b.reading.empty(); });
}

void InteractiveWork::touch(Instant now) {
  if (idle())
    idle_until_ = now + options_.idle_timeout;
  else
    idle_until_.reset();
}

std::optional<Instant> InteractiveWork::due() const {
  if (over()) return std::nullopt;
  return idle_until_ ? std::min(*idle_until_, options_.deadline) : options_.deadline;
}

std::size_t InteractiveWork::callers() const {
  std::size_t calls = 0;
  for (const auto& branch : branches_)
    calls += branch.reading.size() + (branch.running ? branch.running->waiting.size() : 0);
  return calls;
}

std::vector<BranchReport> InteractiveWork::branches() const {
  std::vector<BranchReport> reports;
  for (const auto& branch : branches_) {
    auto word = branch.gone      ? std::string("rolled back")
                : branch.running ? fmt::format("running statement {}", branch.running->number)
                                 : fmt::format("{} statements answered", branch.answered);
    reports.push_back({branch.number, branch.resource, std::move(word)});
  }
  return reports;
}

InteractiveWork::Branch& InteractiveWork::at(BranchNumber number) {
  CHECK(number.value >= 1 && number.value <= branches_.size(), "{} has no branch {}", options_.id.text(),
        number.value);
  return branches_[number.value - 1];
}

}  // namespace troth::coordinator
