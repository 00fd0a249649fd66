#include "coordinator/consensus/synod.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace troth::coordinator::consensus {

// ---- acceptor

SynodAcceptor::Answer SynodAcceptor::step(const Synod::Prepare& prepare) {
  if (!may_promise(state_.promised, prepare.ballot)) return refuse(prepare.ballot);
  auto written = write({prepare.ballot, state_.accepted});
  return {std::move(written), Synod::Promise{prepare.ballot, state_.accepted}, writes_};
}

SynodAcceptor::Answer SynodAcceptor::step(const Synod::Accept& accept) {
  if (!may_accept(state_.promised, accept.ballot)) return refuse(accept.ballot);
  const Synod::Acceptance acceptance{accept.ballot, accept.value};
  auto written = write({accept.ballot, acceptance});
  return {std::move(written), acceptance, writes_};
}

// What it tells of the promise may be forgotten: it only makes the other ask in a higher ballot.
SynodAcceptor::Answer SynodAcceptor::refuse(const Ballot& ballot) const {
  return {std::nullopt, Synod::Refusal{ballot, state_.promised}, 0};
}

// A doubled message changes nothing, but its answer, too, waits for what is not durable yet.
std::optional<SynodAcceptor::Write> SynodAcceptor::write(State state) {
  const auto accepted_in = [](const State& of) { return of.accepted ? of.accepted->ballot : Ballot{}; };
  if (state.promised == state_.promised && accepted_in(state) == accepted_in(state_)) return std::nullopt;
  state_ = std::move(state);
  return Write{++writes_, state_};
}

// ---- proposer

SynodProposer::SynodProposer(Options options) : options_(std::move(options)), above_(options_.above) {
  CHECK(options_.configuration.voters.contains(options_.self), "replica {} proposes and has no vote",
        options_.self.value);
}

std::vector<SynodProposer::Send> SynodProposer::step(Instant now, Random& random, const Input& input) {
  if (over()) return {};
  if (std::holds_alternative<ValueLearned>(input)) {
    phase_ = Over{};
    due_.reset();
    return {};
  }
  if (std::holds_alternative<Begun>(input) && std::holds_alternative<Idle>(phase_)) return begin_round(now);
  if (const auto* promised = std::get_if<PromiseReceived>(&input))
    return take_promise(now, promised->from, promised->promise);
  if (const auto* refused = std::get_if<RefusalReceived>(&input))
    take_refusal(now, random, refused->from, refused->refusal);
  if (std::holds_alternative<TimePassed>(input) && due_ && now >= *due_) {
    if (std::holds_alternative<BackingOff>(phase_)) return begin_round(now);
    back_off(now, random);
  }
  return {};
}

std::vector<SynodProposer::Send> SynodProposer::begin_round(Instant now) {
  const auto ballot = ballot_above(above_, options_.self);
  above_ = ballot;
  ++rounds_;
  phase_ = AskingItself{ballot};
  due_ = now + options_.patience;
  return {{options_.self, Synod::Prepare{ballot}}};
}

std::vector<SynodProposer::Send> SynodProposer::take_promise(Instant now, ReplicaId from,
                                                             const Synod::Promise& promise) {
  std::vector<Send> sent;
  const auto* asking = std::get_if<AskingItself>(&phase_);
  if (asking != nullptr && from == options_.self && promise.ballot == asking->ballot) {
    sent = to_all(Synod::Prepare{asking->ballot}, false);
    phase_ = PhaseOne{asking->ballot, {}, {}, {}};
  }
  auto* phase_one = std::get_if<PhaseOne>(&phase_);
  if (phase_one == nullptr || promise.ballot != phase_one->ballot) return sent;
  phase_one->promised.insert(from);
  if (promise.accepted) keep_highest(phase_one->highest, *promise.accepted);
  const auto& configuration = options_.configuration;
  if (votes_of(phase_one->promised, configuration) < configuration.quorums.elect) return sent;
  std::ranges::move(begin_phase_two(now, PhaseOne(*phase_one)), std::back_inserter(sent));
  return sent;
}

std::vector<SynodProposer::Send> SynodProposer::begin_phase_two(Instant now, const PhaseOne& won) {
  phase_ = PhaseTwo{won.ballot, {}};
  due_ = now + options_.patience;
  return to_all(Synod::Accept{won.ballot, won.highest ? won.highest->value : options_.value}, true);
}

// One refusal ends nothing: the others may be enough. Its own does, while nobody else has heard of the ballot.
void SynodProposer::take_refusal(Instant now, Random& random, ReplicaId from, const Synod::Refusal& refusal) {
  if (is_within_reach(refusal.promised, above_)) above_ = std::max(above_, refusal.promised);
  const auto& voters = options_.configuration.voters;
  const auto& quorums = options_.configuration.quorums;
  if (!voters.contains(from)) return;
  if (const auto* asking = std::get_if<AskingItself>(&phase_)) {
    if (from == options_.self && refusal.ballot == asking->ballot) back_off(now, random);
  } else if (auto* one = std::get_if<PhaseOne>(&phase_); one != nullptr && refusal.ballot == one->ballot) {
    one->refused.insert(from);
    if (one->refused.size() + quorums.elect > voters.size()) back_off(now, random);
  } else if (auto* two = std::get_if<PhaseTwo>(&phase_); two != nullptr && refusal.ballot == two->ballot) {
    two->refused.insert(from);
    if (two->refused.size() + quorums.write > voters.size()) back_off(now, random);
  }
}

void SynodProposer::back_off(Instant now, Random& random) {
  phase_ = BackingOff{};
  due_ = now + options_.back_off.delay(rounds_ - 1, random);
}

std::vector<SynodProposer::Send> SynodProposer::to_all(const Synod::Message& message, bool itself_too) const {
  std::vector<Send> sent;
  for (const auto to : options_.configuration.voters)
    if (itself_too || to != options_.self) sent.push_back({to, message});
  return sent;
}

// ---- learner

void SynodLearner::step(ReplicaId from, const Synod::Acceptance& acceptance) {
  if (chosen_ || !configuration_.voters.contains(from)) return;
  auto& highest = highest_[from];
  highest = std::max(highest, acceptance.ballot);
  Replicas alike;
  for (const auto& [replica, ballot] : highest_)
    if (ballot == acceptance.ballot) alike.insert(replica);
  if (votes_of(alike, configuration_) >= configuration_.quorums.write) chosen_ = acceptance.value;
}

}  // namespace troth::coordinator::consensus
