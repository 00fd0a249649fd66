#include "tests/unit/consensus/lease_world.h"

#include <algorithm>

#include <fmt/format.h>

#include "coordinator/consensus/synod_rules.h"

namespace troth::coordinator::consensus {
namespace {

using std::chrono::milliseconds;

}  // namespace

LeaseWorld::Counts& LeaseWorld::Counts::operator+=(const Counts& other) {
  elections += other.elections;
  leases += other.leases;
  renewals += other.renewals;
  hand_overs += other.hand_overs;
  quick_successions += other.quick_successions;
  own_successions += other.own_successions;
  refusals += other.refusals;
  restarts += other.restarts;
  wiped += other.wiped;
  changes += other.changes;
  longer += other.longer;
  shorter += other.shorter;
  return *this;
}

std::int64_t LeaseWorld::Clock::shows(TrueTime now) const {
  const auto passed = now - set_at;
  return showed + passed + passed / 1'000 * rate_ppm / 1'000;
}

Instant LeaseWorld::Clock::at(TrueTime now) const {
  return Instant{Duration{shows(now) / 1'000}};
}

LeaseWorld::LeaseWorld(Options options, std::uint64_t seed)
    : options_(std::move(options)), random_(seed), terms_(options_.terms) {
  for (const auto id : options_.configuration.voters) {
    auto& replica = replicas_[id];
    replica.id = id;
    set_clock(replica, true);
    replica.terms = terms_;
    start_granting(replica, {});
  }
  if (options_.terms_change) {
    auto again = std::make_shared<std::function<void()>>();
    *again = [this, weak = std::weak_ptr(again)] {
      change_terms();
      after(milliseconds{random_.between(50, 800)}, [self = weak.lock()] { (*self)(); });
    };
    after(milliseconds{random_.between(0, 500)}, [again] { (*again)(); });
  }
  // As many faults in a large group as in a small one, or nobody would ever be elected there.
  const auto size = static_cast<int>(replicas_.size());
  for (auto& [id, replica] : replicas_) {
    begin(replica);
    often(replica, size * milliseconds{300}, [this](Replica& each) { restart(each); });
    often(replica, milliseconds{300}, [this](Replica& each) { set_clock(each, false); });
    often(replica, size * milliseconds{400},
          [this](Replica& each) { each.paused_until = now_ + random_.between(0, 400'000'000); });
    often(replica, size * milliseconds{400},
          [this](Replica& each) { each.cut_off_until = now_ + random_.between(0, 400'000'000); });
  }
}

// The group's log, as far as it matters: everybody hears of a change, sooner or later, and of the newest last.
void LeaseWorld::change_terms() {
  ++counts_.changes;
  terms_.length = Duration{random_.between(10'000, 400'000)};
  for (auto& [id, replica] : replicas_)
    after(Duration{random_.between(100, random_.one_in(3) ? 1'000'000 : 5'000)},
          [&replica, terms = terms_] { replica.terms = terms; });
}

Duration LeaseWorld::said(const Replica& replica) const {
  const auto length = replica.batches.back();
  return length == 0 ? options_.terms.waited() : replica.log[length - 1];
}

void LeaseWorld::settle_pledge(Replica& replica) {
  if (options_.defects.says_less_at_once && replica.terms.waited() < replica.pledge.said()) {
    replica.pledge = LeasePledge(replica.terms.waited(), {});
    replica.log.push_back(replica.terms.waited());
  }
  const auto due = replica.pledge.due(replica.terms, clock(replica));
  if (!due) return;
  if (*due < replica.pledge.said()) ++counts_.shorter;
  replica.log.push_back(*due);
  replica.pledge.appended({replica.log.size()});
  if (options_.defects.trusts_the_last_batch) replica.pledge = LeasePledge(*due, {});
}

void LeaseWorld::sync(Replica& replica) {
  replica.heard = clock(replica);
  settle_pledge(replica);
  if (replica.log.size() > replica.batches.back()) replica.batches.push_back(replica.log.size());
  replica.pledge.durable({replica.log.size()});
}

std::optional<LeaseTerms> LeaseWorld::grants_by(const Replica& replica) const {
  if (options_.defects.grants_what_is_not_written) return replica.terms;
  return replica.pledge.grants_by();
}

void LeaseWorld::start_granting(Replica& replica, const Ballot& promised) {
  const auto waits = options_.defects.waits_by_present_terms ? replica.terms.waited() : said(replica);
  replica.pledge = LeasePledge(waits, clock(replica));
  replica.grantor = replica.votes ? LeaseGrantor(waits, replica.id, promised, clock(replica))
                                  : LeaseGrantor::without_memory(waits, clock(replica));
}

void LeaseWorld::run(Duration how_long) {
  const auto end = now_ + how_long.count() * 1'000;
  while (wrong_.empty() && !events_.empty() && events_.begin()->first <= end) {
    const auto [when, what] = std::move(*events_.begin());
    events_.erase(events_.begin());
    now_ = when;
    what();
    look();
  }
}

void LeaseWorld::after(Duration delay, std::function<void()> what) {
  events_.emplace(now_ + delay.count() * 1'000 + random_.between(0, 999), std::move(what));
}

void LeaseWorld::often(Replica& replica, Duration longest, std::function<void(Replica&)> what) {
  after(Duration{random_.between(0, longest.count())}, [this, &replica, longest, what = std::move(what)] {
    what(replica);
    often(replica, longest, what);
  });
}

// What a start sets going; it ends with the next one.
void LeaseWorld::begin(Replica& replica) {
  const auto while_it_lives = [this, &replica](Duration longest, auto what) {
    auto again = std::make_shared<std::function<void()>>();
    const auto start = replica.start;
    *again = [this, &replica, longest, what, start, weak = std::weak_ptr(again)] {
      if (replica.start != start) return;
      const auto self = weak.lock();
      if (now_ < replica.paused_until) {
        events_.emplace(replica.paused_until, [self] { (*self)(); });
        return;
      }
      (this->*what)(replica);
      after(Duration{random_.between(0, longest.count())}, [self] { (*self)(); });
    };
    after(Duration{random_.between(0, longest.count())}, [again] { (*again)(); });
  };
  while_it_lives(milliseconds{6}, &LeaseWorld::stand);
  while_it_lives(milliseconds{80}, &LeaseWorld::ask_for_lease);
  while_it_lives(milliseconds{500}, &LeaseWorld::hand_over);
  while_it_lives(milliseconds{10}, &LeaseWorld::trust_again);
  if (options_.terms_change) while_it_lives(milliseconds{random_.one_in(2) ? 30 : 300}, &LeaseWorld::sync);
}

void LeaseWorld::to_all(Replica& from, const Message& message) {
  for (const auto to : options_.configuration.voters)
    send(from, to, message);
}

void LeaseWorld::send(Replica& from, ReplicaId to, const Message& message) {
  if (from.id == to) {
    const auto start = from.start;
    after(Duration{0}, [this, &from, start, message] {
      if (from.start == start) hear(from, from.id, message);
    });
    return;
  }
  const int copies = random_.one_in(5) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    if (random_.one_in(8)) continue;
    auto delay = random_.between(10, 400);
    if (random_.one_in(5)) delay += random_.between(0, 300'000);
    auto& receiver = replicas_.at(to);
    after(Duration{delay}, [this, &from, &receiver, message] {
      if (now_ < from.cut_off_until || now_ < receiver.cut_off_until) return;
      hear(receiver, from.id, message);
    });
  }
}

void LeaseWorld::hear(Replica& replica, ReplicaId from, const Message& message) {
  if (now_ < replica.paused_until) {  // it lies in the queue
    events_.emplace(replica.paused_until, [this, &replica, from, message] { hear(replica, from, message); });
    return;
  }
  const auto now = clock(replica);
  replica.heard = now;
  if (!replica.votes) return;
  auto& grantor = replica.grantor;
  if (const auto* prepare = std::get_if<Prepare>(&message)) {
    if (!may_promise(replica.promised, prepare->ballot)) return;
    if (!grantor.allows(now, from)) {
      ++counts_.refusals;
      return;
    }
    replica.promised = prepare->ballot;
    send(replica, from, Promise{prepare->ballot});
  } else if (const auto* promise = std::get_if<Promise>(&message)) {
    auto& candidacy = replica.candidacy;
    if (!candidacy || candidacy->ballot != promise->ballot) return;
    candidacy->promised.insert(from);
    if (votes_of(candidacy->promised, options_.configuration) < options_.configuration.quorums.elect) return;
    ++counts_.elections;
    replica.holder.emplace(candidacy->ballot);
    replica.was_valid = false;
    for (const auto& [id, other] : replicas_) {
      const auto* held = holder(other);
      if (id != replica.id && held != nullptr && held->ballot() < candidacy->ballot && wrong_.empty())
        wrong_ = fmt::format("{} was elected while {} held a valid lease", replica.id.value, id.value);
    }
    candidacy.reset();
    ask_for_lease(replica);
  } else if (const auto* request = std::get_if<LeaseRequest>(&message)) {
    if (!may_accept(replica.promised, request->ballot)) return;
    replica.promised = request->ballot;  // it was elected, or it would not ask
    const auto before = grantor.running(now);
    settle_pledge(replica);
    const auto terms = grants_by(replica);
    if (!terms || !grantor.grant(now, *terms, request->ballot, replica.promised)) return;
    replica.pledge.granted(now + terms->length);
    if (terms->length > options_.terms.length) ++counts_.longer;
    if (before && before->successor == from) ++counts_.quick_successions;
    if (before && before->ballot != request->ballot && before->ballot.leader == from)
      ++counts_.own_successions;
    send(replica, from, LeaseGrant{replica.id, request->ballot, request->sent, *terms});
  } else if (auto grant = std::get_if<LeaseGrant>(&message); grant != nullptr && replica.holder) {
    const auto until = replica.holder->valid_until(options_.configuration);
    auto counted = *grant;
    if (options_.defects.counts_from_receipt) counted.sent = now;
    if (options_.defects.counts_by_own_terms) counted.terms = replica.terms;
    replica.holder->granted(now, counted, replica.terms.drift_ppm);
    const auto later = replica.holder->valid_until(options_.configuration);
    if (until && later && *later > *until) ++counts_.renewals;
    if (holder(replica) != nullptr && !replica.was_valid) {
      ++counts_.leases;
      replica.was_valid = true;
    }
  } else if (const auto* hand_over = std::get_if<LeaseHandOver>(&message)) {
    grantor.hand_over(*hand_over);
    if (hand_over->successor == replica.id) stand(replica);
  }
}

// [L1] The holder goes before a newer ballot comes. [L2] It asks itself first.
void LeaseWorld::stand(Replica& replica) {
  replica.heard = clock(replica);
  if (!replica.votes || (replica.holder && !random_.one_in(20))) return;
  if (replica.candidacy && !random_.one_in(3)) return;
  if (!replica.grantor.allows(clock(replica), replica.id)) return;
  replica.holder.reset();
  replica.promised = ballot_above(replica.promised, replica.id);
  replica.candidacy = Candidacy{replica.promised, {}};
  to_all(replica, Prepare{replica.promised});
}

void LeaseWorld::ask_for_lease(Replica& replica) {
  replica.heard = clock(replica);
  if (replica.holder) to_all(replica, LeaseRequest{replica.holder->ballot(), clock(replica)});
}

void LeaseWorld::hand_over(Replica& replica) {
  replica.heard = clock(replica);
  if (holder(replica) == nullptr || replicas_.size() == 1) return;
  auto successor = std::next(replicas_.begin(), static_cast<std::ptrdiff_t>(random_.below(replicas_.size())));
  if (successor->first == replica.id) return;
  ++counts_.hand_overs;
  auto& mine = *replica.holder;
  const auto kept = mine;
  to_all(replica, mine.hand_over(successor->first));
  if (options_.defects.keeps_what_it_hands_over) mine = kept;
}

// Killed and started again, or the whole machine with its clock.
void LeaseWorld::restart(Replica& replica) {
  ++counts_.restarts;
  ++replica.start;
  replica.candidacy.reset();
  replica.holder.reset();
  replica.paused_until = 0;
  if (random_.one_in(3)) set_clock(replica, true);
  if (random_.one_in(5) && may_be_wiped(replica)) {
    ++counts_.wiped;
    replica.promised = {};
    replica.votes = false;
    if (replica.batches.size() > 1) replica.batches.pop_back();
  }
  replica.log.resize(replica.batches.back());
  start_granting(replica, options_.defects.grants_are_forgotten ? Ballot{} : replica.promised);
  // The start itself is written, behind whatever batch was the last.
  replica.log.push_back(said(replica));
  replica.batches.push_back(replica.log.size());
  begin(replica);
}

// One at a time, and nobody who could have been elected without another's promise: or a ballot might come again.
bool LeaseWorld::may_be_wiped(const Replica& replica) const {
  return options_.configuration.quorums.elect > 1 && std::ranges::all_of(replicas_, [&](const auto& each) {
           return each.first == replica.id || each.second.votes;
         });
}

// What it had promised it takes over from the others, who are asked at once here. Its own grants have to be over [L2].
void LeaseWorld::trust_again(Replica& replica) {
  if (replica.votes) return;
  if (replica.grantor.running(clock(replica)) && !options_.defects.votes_before_grants_are_over) return;
  for (const auto& [id, other] : replicas_)
    replica.promised = std::max(replica.promised, other.promised);
  if (options_.defects.votes_before_grants_are_over)
    replica.grantor = LeaseGrantor(said(replica), replica.id, replica.promised, clock(replica));
  replica.votes = true;
}

// Another rate; most often as far off as may be.
void LeaseWorld::set_clock(Replica& replica, bool reboot) {
  auto& clock = replica.clock;
  clock.showed = reboot ? random_.between(0, 1'000'000'000'000) : clock.shows(now_);
  clock.set_at = now_;
  const auto most = static_cast<std::int64_t>(options_.clocks_drift_ppm);
  clock.rate_ppm = random_.one_in(3) ? random_.between(-most, most) : (random_.one_in(2) ? most : -most);
}

const LeaseHolder* LeaseWorld::holder(const Replica& replica) const {
  const auto now = options_.defects.time_is_a_tick ? replica.heard : clock(replica);
  const auto& held = replica.holder;
  return held && held->valid(now, options_.configuration) ? &*held : nullptr;
}

void LeaseWorld::look() {
  const Replica* first = nullptr;
  for (const auto& [id, replica] : replicas_) {
    if (holder(replica) == nullptr) continue;
    if (first != nullptr && wrong_.empty())
      wrong_ = fmt::format("{} and {} hold a valid lease at one instant", first->id.value, id.value);
    first = &replica;
  }
}

}  // namespace troth::coordinator::consensus
