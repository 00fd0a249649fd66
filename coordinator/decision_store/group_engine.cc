#include "coordinator/decision_store/group_engine.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/decision_store/request_size.h"

namespace troth::coordinator::store {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

bool is_read(const Request& request) {
  return std::holds_alternative<Lookup>(request) || std::holds_alternative<List>(request);
}

Consistency consistency_of(const Request& request) {
  const auto* lookup = std::get_if<Lookup>(&request);
  return lookup == nullptr ? Consistency::kLinearizable : lookup->consistency;
}

Unknown not_the_leader() {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = troth::Effect::kUnknown;
  error.message = "this coordinator does not lead its group, or stopped while it asked; ask the leader";
  error.retryable = true;
  return {std::move(error)};
}

Unknown not_confirmed(const char* why) {
  auto unknown = not_the_leader();
  unknown.reason.message = why;
  return unknown;
}

Refused too_large(std::size_t bytes, std::size_t limit) {
  return {fail(ErrorCode::kInvalidArgument, troth::Effect::kNone,
               fmt::format(
                   "a request of up to {} bytes is too large for an entry of the group's log, which takes up "
                   "to {}: ask for less at once, or with shorter texts",
                   bytes, limit))
              .error()};
}

}  // namespace

Status AppliedState::restore(const LogRecord& record) {
  auto taken = records.restore(record, next);
  ++next.value;
  return taken;
}

Status AppliedState::restored(consensus::Slot through) {
  slot = through;
  return records.finish_restore();
}

AppliedState GroupEngine::install(AppliedState state) {
  CHECK(!leads_ && proposed_.empty() && unproposed_.empty(), "a state is installed under what was asked");
  return std::exchange(state_, std::move(state));
}

std::vector<LogRecord> GroupEngine::copy_live(RecordTable::CopyCursor& cursor, std::size_t visits) {
  constexpr WriteNumber kAll{UINT64_MAX};
  auto copies = state_.records.copy_forward(cursor, kAll, state_.next, visits);
  state_.next.value += copies.size();
  return copies;
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
                   CHECK(in.slot.value == state_.slot.value + 1);
                   state_.slot = in.slot;
                 },
                 [&](ReadConfirmed& in) { confirm(in.ticket, effects); },
                 [&](ReadRefused& in) {
                   if (reads_.erase(in.ticket) > 0)
                     effects.emplace_back(
                         Answered{in.ticket, in.why == nullptr ? not_the_leader() : not_confirmed(in.why)});
                 },
             },
             input);
  return effects;
}

void GroupEngine::ask(Asked asked, std::vector<Effect>& effects) {
  const auto consistency = consistency_of(asked.request);
  if (consistency == Consistency::kEventual) {
    effects.emplace_back(Answered{asked.ticket, read(asked.request)});
  } else if (consistency != Consistency::kLinearizable) {
    const auto& lookup = std::get<Lookup>(asked.request);
    effects.emplace_back(ConfirmRead{asked.ticket, consistency, {lookup.seen.value}, lookup.until});
    reads_.emplace(asked.ticket, std::move(asked.request));
  } else if (!leads_) {
    effects.emplace_back(Answered{asked.ticket, not_the_leader()});
  } else if (is_read(asked.request)) {
    reads_.emplace(asked.ticket, std::move(asked.request));
    unconfirmed_.push_back({writes_asked_, asked.ticket});
    confirm_reads(effects);
  } else if (const auto bytes = most_bytes(asked.request); bytes > limits_.request_bytes) {
    effects.emplace_back(Answered{asked.ticket, too_large(bytes, limits_.request_bytes)});
  } else {
    ++writes_asked_;
    unproposed_.push_back({std::move(asked), bytes});
  }
}

void GroupEngine::propose(std::vector<Effect>& effects) {
  Batch batch{.origin = origin_, .requests = {}};
  for (std::size_t bytes = 0; !unproposed_.empty() && batch.requests.size() < limits_.requests;) {
    bytes += unproposed_.front().bytes;
    if (bytes > limits_.bytes && !batch.requests.empty()) break;
    batch.requests.push_back(std::move(unproposed_.front().asked));
    unproposed_.pop_front();
  }
  for (const auto& asked : batch.requests)
    proposed_.insert(asked.ticket);
  effects.emplace_back(Propose{std::move(batch)});
}

void GroupEngine::deliver(BatchDelivered delivered, std::vector<Effect>& effects) {
  CHECK(delivered.slot.value == state_.slot.value + 1, "slot {} behind {}", delivered.slot.value,
        state_.slot.value);
  state_.slot = delivered.slot;
  Applied applied;
  std::vector<Effect> answers;
  for (auto& [ticket, request] : delivered.batch.requests) {
    auto reply = state_.records.apply(request, state_.next);
    state_.next.value += reply.append.size();
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
    effects.emplace_back(ConfirmRead{.ticket = unconfirmed_.front().ticket});
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
  for (const auto& each : unproposed_)
    effects.emplace_back(Answered{each.asked.ticket, not_the_leader()});
  // The other reads need no leader.
  std::erase_if(reads_, [&](const auto& read) {
    if (consistency_of(read.second) != Consistency::kLinearizable) return false;
    effects.emplace_back(Answered{read.first, not_the_leader()});
    return true;
  });
  proposed_.clear();
  unproposed_.clear();
  unconfirmed_.clear();
  writes_applied_ = writes_asked_;
}

void GroupEngine::confirm(Ticket ticket, std::vector<Effect>& effects) {
  const auto asked = reads_.find(ticket);
  if (asked == reads_.end()) return;
  effects.emplace_back(Answered{ticket, read(asked->second)});
  reads_.erase(asked);
}

Prefix GroupEngine::prefix() const {
  return {state_.records.epoch(), {state_.slot.value}, state_.records.floors(), state_.records.new_reign()};
}

StoreAnswer GroupEngine::read(const Request& request) {
  auto answer = state_.records.apply(request, state_.next).answer;
  if (auto* found = std::get_if<Found>(&answer)) found->prefix.position = {state_.slot.value};
  return answer;
}

}  // namespace troth::coordinator::store
