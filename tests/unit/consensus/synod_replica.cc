#include "tests/unit/consensus/synod_replica.h"

#include <fmt/format.h>

namespace troth::coordinator::consensus {
namespace {

std::string text_of(const Synod::Message& message) {
  if (const auto* prepare = std::get_if<Synod::Prepare>(&message))
    return fmt::format("prepare {}", text_of(prepare->ballot));
  if (const auto* accept = std::get_if<Synod::Accept>(&message))
    return fmt::format("accept {} {}", text_of(accept->ballot), *accept->value);
  if (const auto* acceptance = std::get_if<Synod::Acceptance>(&message))
    return fmt::format("accepted {} {}", text_of(acceptance->ballot), *acceptance->value);
  if (const auto* refusal = std::get_if<Synod::Refusal>(&message))
    return fmt::format("refused {}, promised {}", text_of(refusal->ballot), text_of(refusal->promised));
  const auto& promise = std::get<Synod::Promise>(message);
  if (!promise.accepted) return fmt::format("promise {}, nothing accepted", text_of(promise.ballot));
  return fmt::format("promise {}, accepted {} {}", text_of(promise.ballot), text_of(promise.accepted->ballot),
                     *promise.accepted->value);
}

}  // namespace

std::string text_of(const Ballot& ballot) {
  return fmt::format("{}.{}", ballot.round, ballot.leader.value);
}

std::string text_of(const SynodEnvelope& envelope) {
  return fmt::format("{} -> {} {}", envelope.from.value, envelope.to.value, text_of(envelope.message));
}

std::optional<Instant> SynodReplica::due() const {
  return up_ && proposer_ ? proposer_->due() : std::nullopt;
}

void SynodReplica::propose(Instant now, Random& random, Synod::Value value) {
  proposer_.emplace(SynodProposer::Options{self_, configuration_, std::move(value), durable_.promised,
                                           timing_.patience, timing_.back_off});
  step(now, random, SynodProposer::Begun{});
}

void SynodReplica::hear(Instant now, Random& random, const SynodEnvelope& envelope) {
  if (!up_) return;
  const auto& [from, to, message] = envelope;
  if (const auto* prepare = std::get_if<Synod::Prepare>(&message)) {
    answer(from, acceptor_.step(*prepare));
  } else if (const auto* accept = std::get_if<Synod::Accept>(&message)) {
    answer(from, acceptor_.step(*accept));
  } else if (const auto* promise = std::get_if<Synod::Promise>(&message)) {
    step(now, random, SynodProposer::PromiseReceived{from, *promise});
  } else if (const auto* refusal = std::get_if<Synod::Refusal>(&message)) {
    step(now, random, SynodProposer::RefusalReceived{from, *refusal});
  } else {
    learner_.step(from, std::get<Synod::Acceptance>(message));
    if (learner_.chosen()) step(now, random, SynodProposer::ValueLearned{});
  }
}

void SynodReplica::time_passed(Instant now, Random& random) {
  step(now, random, SynodProposer::TimePassed{});
}

void SynodReplica::written() {
  durable_ = std::move(writing_.front().state);
  durable_write_ = writing_.front().number;
  writing_.pop_front();
  while (!waiting_.empty() && waiting_.front().first <= durable_write_) {
    const auto [to, message] = std::move(waiting_.front().second);
    waiting_.pop_front();
    send(to, message);
  }
}

void SynodReplica::crash() {
  up_ = false;
  writing_.clear();
  waiting_.clear();
  proposer_.reset();
  learner_ = SynodLearner(configuration_);
}

void SynodReplica::restart() {
  up_ = true;
  durable_write_ = 0;
  if (defects_.promises_are_forgotten) durable_.promised = {};
  acceptor_ = SynodAcceptor(durable_);
}

void SynodReplica::step(Instant now, Random& random, const SynodProposer::Input& input) {
  if (!up_ || !proposer_) return;
  for (const auto& [to, message] : proposer_->step(now, random, input))
    send(to, message);
}

void SynodReplica::answer(ReplicaId to, SynodAcceptor::Answer answer) {
  if (answer.write) writing_.push_back(*answer.write);
  if (answer.needs <= durable_write_ || defects_.answers_before_durable)
    send(to, answer.message);
  else
    waiting_.push_back({answer.needs, {to, answer.message}});
}

// An acceptance is for every learner.
void SynodReplica::send(ReplicaId to, const Synod::Message& message) {
  if (!std::holds_alternative<Synod::Acceptance>(message)) {
    sent_.push_back({self_, to, message});
    return;
  }
  for (const auto each : configuration_.voters)
    sent_.push_back({self_, each, message});
}

}  // namespace troth::coordinator::consensus
