// Between the protocol machines, the agents and the store: finds the machine an input is for, and gives its
// effects their addresses.
#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/reign.h"

namespace troth::coordinator {

TransactionTable::Reign::Open* TransactionTable::Reign::find(const TransactionId& id) {
  const auto at = open_.find(position_of(id));
  return at == open_.end() || at->second.id != id ? nullptr : &at->second;
}

// ---- what happened

// A vote for a transaction that is over says nothing, and gets no rollback: it may be a doubled one of a
// commit that has ended [T3] [T10]. The agent asks for itself.
void TransactionTable::Reign::take(PrepareReplied& replied) {
  auto* open = find(replied.branch.transaction);
  if (open == nullptr) return;
  if (std::holds_alternative<TwoPhaseCommit>(open->protocol))
    drive(*open, TwoPhaseCommit::VoteReceived{replied.branch.branch, std::move(replied.vote)});
  else if (std::holds_alternative<OnePhaseCommit>(open->protocol))
    drive(*open, OnePhaseCommit::VoteReceived{std::move(replied.vote)});
}

void TransactionTable::Reign::take(PrepareFailed& failed) {
  auto* open = find(failed.branch.transaction);
  if (open == nullptr) return;
  if (std::holds_alternative<TwoPhaseCommit>(open->protocol))
    drive(*open, TwoPhaseCommit::VoteLost{failed.branch.branch, failed.never_sent, std::move(failed.reason)});
  else if (std::holds_alternative<OnePhaseCommit>(open->protocol))
    drive(*open, OnePhaseCommit::VoteLost{failed.never_sent, std::move(failed.reason)});
}

void TransactionTable::Reign::take(CommitReplied& replied) {
  auto* open = find(replied.branch.transaction);
  if (open == nullptr || !std::holds_alternative<TwoPhaseCommit>(open->protocol)) return;
  drive(*open, TwoPhaseCommit::BranchFinished{replied.branch.branch, replied.end, std::move(replied.detail)});
}

void TransactionTable::Reign::take(SettleReplied& replied) {
  const auto at = settles_.find(replied.ticket);
  if (at == settles_.end()) return;
  const auto purpose = std::move(at->second);
  settles_.erase(at);
  if (const auto* transaction = std::get_if<SettleOfTransaction>(&purpose)) {
    const auto open = open_.find(transaction->transaction);
    if (open != open_.end())
      drive(open->second,
            OnePhaseCommit::Settled{replied.end, std::move(replied.committed_as), std::move(replied.detail)});
    return;
  }
  const auto& status = std::get<SettleOfStatus>(purpose);
  if (queries_.contains(status.call))
    drive_query(status.call,
                StatusQuery::ResourceSettled{status.resource, replied.end, std::move(replied.committed_as),
                                             std::move(replied.detail)});
}

void TransactionTable::Reign::on(ForChoice& purpose, store::StoreAnswer& answer) {
  const auto open = open_.find(purpose.transaction);
  if (open != open_.end()) drive(open->second, TwoPhaseCommit::ChoiceAnswered{std::move(answer)});
}

void TransactionTable::Reign::on(ForRecord& purpose, store::StoreAnswer& answer) {
  const auto open = open_.find(purpose.transaction);
  if (open != open_.end()) drive(open->second, TwoPhaseCommit::RecordLookedUp{std::move(answer)});
}

// An agent that is gone, or that another incarnation has replaced, will not vote any more [T12].
void TransactionTable::Reign::lose_votes(const AgentId& agent, std::optional<Incarnation> still_there,
                                         const Error& reason) {
  for (const auto sequence : watermarks_.active(agent)) {
    const Position position{epoch_.number, sequence};
    std::vector<BranchNumber> lost;
    const auto& places = open_.at(position).places;
    for (std::uint32_t n = 0; n < places.size(); ++n)
      if (places[n].agent == agent && places[n].incarnation != still_there) lost.push_back({n + 1});
    for (const auto branch : lost) {
      const auto open = open_.find(position);
      if (open == open_.end()) break;
      lose_branch(open->second, branch, reason);
    }
  }
}

// ---- driving; afterwards `open` may be gone

template <typename Machine>
void TransactionTable::Reign::drive_machine(Open& open, Machine& machine,
                                            const typename Machine::Input& input) {
  const auto effects = [&] {
    if constexpr (std::is_same_v<Machine, InteractiveWork>)
      return machine.step(clocks_.now, input);
    else
      return machine.step(clocks_.now, random_, input);
  }();
  if (open.undecided && !machine.undecided()) leave_undecided(open);
  for (const auto& effect : effects)
    carry_out(open, effect);
  after_step(open);
}

void TransactionTable::Reign::drive(Open& open, const TwoPhaseCommit::Input& input) {
  drive_machine(open, std::get<TwoPhaseCommit>(open.protocol), input);
}

void TransactionTable::Reign::drive(Open& open, const OnePhaseCommit::Input& input) {
  drive_machine(open, std::get<OnePhaseCommit>(open.protocol), input);
}

void TransactionTable::Reign::drive(Open& open, const InteractiveWork::Input& input) {
  drive_machine(open, std::get<InteractiveWork>(open.protocol), input);
}

void TransactionTable::Reign::pass_time(Open& open) {
  std::visit([&]<typename Machine>(
                 Machine& machine) { drive_machine(open, machine, typename Machine::TimePassed{}); },
             open.protocol);
}

void TransactionTable::Reign::drain(Open& open) {
  std::visit([&]<typename Machine>(
                 Machine& machine) { drive_machine(open, machine, typename Machine::DrainEnded{}); },
             open.protocol);
}

void TransactionTable::Reign::lose_branch(Open& open, BranchNumber branch, const Error& reason) {
  if (std::holds_alternative<TwoPhaseCommit>(open.protocol))
    drive(open, TwoPhaseCommit::VoteLost{branch, false, reason});
  else if (std::holds_alternative<OnePhaseCommit>(open.protocol))
    drive(open, OnePhaseCommit::VoteLost{false, reason});
  else
    drive(open, InteractiveWork::BranchLost{branch, reason});
}

void TransactionTable::Reign::after_step(Open& open) {
  const bool over = std::visit([](const auto& p) { return p.over(); }, open.protocol);
  set_timer(position_of(open.id), open.due, std::visit([](const auto& p) { return p.due(); }, open.protocol));
  if (over && !open.ending) {
    remembered_.remember(open.id, report(open));
    close(open);
  }
}

// [T7] Decided: from here it holds no watermark down, whoever still has to hear of it (attack 57). Its own
// rollbacks carry the risen watermark already, so that a prepare that comes behind them is refused.
void TransactionTable::Reign::leave_undecided(Open& open) {
  open.undecided = false;
  watermarks_.goes_nowhere_new(open.id.sequence);
  admission_.give_back(open.client, open.bytes, open.options != nullptr);
  for (const auto& place : open.places)
    watermarks_.decided(place.agent, open.id.sequence);
  const auto state = std::visit([](const auto& p) { return p.state(); }, open.protocol);
  const bool committed = state == TransactionState::kCommitted || state == TransactionState::kHeuristicCommit;
  ++(committed ? counts_.committed : counts_.aborted);
}

void TransactionTable::Reign::close(const Open& open) {
  const auto position = position_of(open.id);
  if (open.request) {
    const auto running = running_.find(*open.request);
    if (running != running_.end() && running->second == Running{position}) running_.erase(running);
  }
  auto& held = open_.at(position);
  set_timer(position, held.due, std::nullopt);
  open_.erase(position);
}

// ---- effects

void TransactionTable::Reign::carry_out(Open& open, const TwoPhaseCommit::Effect& effect) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, TwoPhaseCommit::SendPrepare>) {
          send_prepare(open, e.branch, false);
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::SendRollback>) {
          if (auto to = address(open, e.branch)) effects_.emplace_back(SendRollback{std::move(*to)});
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::SendRelease>) {
          if (auto to = address(open, e.branch)) effects_.emplace_back(SendRelease{std::move(*to)});
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::SendCommit>) {
          // Out of reach is as good as lost: the machine sends it again.
          if (auto to = address(open, e.branch)) effects_.emplace_back(SendCommit{std::move(*to)});
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::ProposeCommit>) {
          open.recorded.clear();
          for (const auto branch : e.branches)
            open.recorded.push_back({branch, open.places.at(branch.value - 1).number});
          ask_store(ForChoice{position_of(open.id)},
                    store::Choose{epoch_.number, store::CommitRecord{open.id, open.recorded, open.request,
                                                                     open.digest, clocks_.wall, open.label}});
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::LookUpRecord>) {
          ask_store(ForRecord{position_of(open.id)}, store::Lookup{open.id});
        } else if constexpr (std::is_same_v<E, TwoPhaseCommit::EndRecord>) {
          queue_end(open, e.heuristic);
        } else {
          answer_call(e.call, e.answer);
        }
      },
      effect);
}

void TransactionTable::Reign::carry_out(Open& open, const OnePhaseCommit::Effect& effect) {
  if (std::holds_alternative<OnePhaseCommit::SendOnePhase>(effect)) {
    send_prepare(open, {1}, true);
  } else if (std::holds_alternative<OnePhaseCommit::SendSettle>(effect)) {
    settle(SettleOfTransaction{position_of(open.id)}, open.places.front().resource, BranchId{open.id, {1}},
           open.request);
  } else {
    const auto& answer = std::get<AnswerCall>(effect);
    answer_call(answer.call, answer.answer);
  }
}

void TransactionTable::Reign::send_prepare(const Open& open, BranchNumber branch, bool one_phase) {
  const auto& place = open.places.at(branch.value - 1);
  effects_.emplace_back(SendPrepare{
      {place.agent, place.resource, {open.id, branch}, watermark(place.agent)},
      place.incarnation,
      open.work_of,
      open.request,
      open.digest,
      one_phase,
      std::max(open.deadline - clocks_.now, Duration{1}),
      open.statements.empty() ? std::nullopt : std::optional(open.statements.at(branch.value - 1)),
  });
}

const ResourceName& TransactionTable::Reign::resource_of(const Open& open, BranchNumber branch) const {
  if (!open.places.empty()) return open.places.at(branch.value - 1).resource;
  const auto at = std::ranges::find(open.recorded, branch, &store::RecordBranch::branch);
  CHECK(at != open.recorded.end(), "{} has no branch {}", open.id.text(), branch.value);
  return registry_.name_of(at->resource);
}

// To whoever owns the resource now: a branch in doubt is finished by any incarnation, and after a take-over
// by another agent.
std::optional<BranchAddress> TransactionTable::Reign::address(const Open& open, BranchNumber branch) const {
  const auto& resource = resource_of(open, branch);
  auto agent = registry_.reachable_owner(resource);
  if (!agent) return std::nullopt;
  const auto mark = watermark(*agent);
  return BranchAddress{std::move(*agent), resource, {open.id, branch}, mark};
}

void TransactionTable::Reign::settle(SettlePurpose purpose, const ResourceName& resource,
                                     std::optional<BranchId> branch, std::optional<RequestKey> request) {
  const SettleTicket ticket{++last_settle_};
  auto agent = registry_.reachable_owner(resource);
  if (agent) {
    settles_.emplace(ticket, std::move(purpose));
    const auto mark = watermark(*agent);
    effects_.emplace_back(
        SendSettle{ticket, std::move(*agent), resource, std::move(branch), std::move(request), mark});
    return;
  }
  // Nobody to ask: undecided for now, which makes either machine ask again later and nothing else.
  if (const auto* transaction = std::get_if<SettleOfTransaction>(&purpose)) {
    auto& machine = std::get<OnePhaseCommit>(open_.at(transaction->transaction).protocol);
    const auto effects =
        machine.step(clocks_.now, random_, OnePhaseCommit::Settled{BranchEnd::kUndecided, std::nullopt, {}});
    CHECK(effects.empty(), "an undecided settle has effects");
  } else {
    auto& query = queries_.at(std::get<SettleOfStatus>(purpose).call);
    const auto effects =
        query.step(clocks_.now, random_,
                   StatusQuery::ResourceSettled{resource, BranchEnd::kUndecided, std::nullopt, {}});
    CHECK(effects.empty(), "an undecided settle has effects");
  }
}

}  // namespace troth::coordinator
