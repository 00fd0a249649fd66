#include "coordinator/decision_store/group_engine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace troth::coordinator::store {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

bool is_read(const Request& request) {
  return std::holds_alternative<Lookup>(request) || std::holds_alternative<List>(request);
}

bool is_eventual(const Request& request) {
  const auto* lookup = std::get_if<Lookup>(&request);
  return lookup != nullptr && lookup->consistency == Consistency::kEventual;
}

Unknown not_the_leader() {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = troth::Effect::kUnknown;
  error.message = "this coordinator does not lead its group, or stopped while it asked; ask the leader";
  error.retryable = true;
  return {std::move(error)};
}

}  // namespace

Status GroupEngine::restore(const LogRecord& record) {
  auto taken = records_.restore(record, next_);
  ++next_.value;
  return taken;
}

Status GroupEngine::restored(consensus::Slot through) {
  applied_ = through;
  return records_.finish_restore();
}

std::vector<GroupEngine::Effect> GroupEngine::step(Input input) {
  std::vector<Effect> effects;
  std::visit(Overloaded{
                 [&](Asked& in) { ask(std::move(in), effects); },
                 [&](LeadBegun&) { leads_ = true; },
                 [&](LeadEnded&) { end_lead(effects); },
                 [&](TurnEnded& in) {
                   if (in.may_propose && !unproposed_.empty()) propose(effects);
                 },
                 [&](BatchDelivered& in) { deliver(std::move(in), effects); },
                 [&](RequestUnwritable& in) { refuse(std::move(in), effects); },
                 [&](SlotPassed& in) {
                   CHECK(in.slot.value == applied_.value + 1);
                   applied_ = in.slot;
                 },
                 [&](ReadConfirmed& in) { confirm(in.ticket, effects); },
                 [&](ReadRefused& in) {
                   if (reads_.erase(in.ticket) > 0)
                     effects.emplace_back(Answered{in.ticket, not_the_leader()});
                 },
             },
             input);
  return effects;
}

void GroupEngine::ask(Asked asked, std::vector<Effect>& effects) {
  if (is_eventual(asked.request)) {
    effects.emplace_back(Answered{asked.ticket, read(asked.request)});
  } else if (!leads_) {
    effects.emplace_back(Answered{asked.ticket, not_the_leader()});
  } else if (is_read(asked.request)) {
    reads_.emplace(asked.ticket, std::move(asked.request));
    unconfirmed_.push_back({writes_asked_, asked.ticket});
    confirm_reads(effects);
  } else {
    ++writes_asked_;
    unproposed_.push_back(std::move(asked));
  }
}

void GroupEngine::propose(std::vector<Effect>& effects) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(unproposed_.size(), limits_.requests));
  Batch batch{.origin = origin_, .requests = {}};
  batch.requests.assign(std::make_move_iterator(unproposed_.begin()),
                        std::make_move_iterator(unproposed_.begin() + count));
  unproposed_.erase(unproposed_.begin(), unproposed_.begin() + count);
  for (const auto& asked : batch.requests)
    proposed_.insert(asked.ticket);
  effects.emplace_back(Propose{std::move(batch)});
}

void GroupEngine::deliver(BatchDelivered delivered, std::vector<Effect>& effects) {
  CHECK(delivered.slot.value == applied_.value + 1, "slot {} behind {}", delivered.slot.value,
        applied_.value);
  applied_ = delivered.slot;
  Applied applied;
  std::vector<Effect> answers;
  for (auto& [ticket, request] : delivered.batch.requests) {
    auto reply = records_.apply(request, next_);
    next_.value += reply.append.size();
    std::ranges::move(reply.append, std::back_inserter(applied.records));
    // What was asked before a lead ended is answered already.
    if (delivered.batch.origin == origin_ && proposed_.erase(ticket) > 0) {
      ++writes_applied_;
      answers.emplace_back(Answered{ticket, std::move(reply.answer)});
    }
  }
  if (!applied.records.empty()) effects.emplace_back(std::move(applied));
  std::ranges::move(answers, std::back_inserter(effects));
  confirm_reads(effects);
}

void GroupEngine::confirm_reads(std::vector<Effect>& effects) {
  for (; !unconfirmed_.empty() && unconfirmed_.front().writes <= writes_applied_; unconfirmed_.pop_front())
    effects.emplace_back(ConfirmRead{unconfirmed_.front().ticket});
}

void GroupEngine::refuse(RequestUnwritable unwritable, std::vector<Effect>& effects) {
  if (proposed_.erase(unwritable.ticket) == 0) return;
  ++writes_applied_;
  effects.emplace_back(Answered{unwritable.ticket, Refused{std::move(unwritable.reason)}});
  confirm_reads(effects);
}

// [S6]
void GroupEngine::end_lead(std::vector<Effect>& effects) {
  leads_ = false;
  for (const auto ticket : proposed_)
    effects.emplace_back(Answered{ticket, not_the_leader()});
  for (const auto& asked : unproposed_)
    effects.emplace_back(Answered{asked.ticket, not_the_leader()});
  for (const auto& [ticket, request] : reads_)
    effects.emplace_back(Answered{ticket, not_the_leader()});
  proposed_.clear();
  unproposed_.clear();
  reads_.clear();
  unconfirmed_.clear();
  writes_applied_ = writes_asked_;
}

void GroupEngine::confirm(Ticket ticket, std::vector<Effect>& effects) {
  const auto asked = reads_.find(ticket);
  if (asked == reads_.end()) return;
  effects.emplace_back(Answered{ticket, read(asked->second)});
  reads_.erase(asked);
}

StoreAnswer GroupEngine::read(const Request& request) {
  auto answer = records_.apply(request, next_).answer;
  if (auto* found = std::get_if<Found>(&answer)) found->prefix.position = {applied_.value};
  return answer;
}

}  // namespace troth::coordinator::store
