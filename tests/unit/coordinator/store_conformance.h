// tests/unit/coordinator/store_conformance.h
//
// What every engine of the decision store must do, whatever it is made of. An engine's test includes this
// file and says INSTANTIATE_TEST_SUITE_P(Name, StoreConformance, testing::Values(kind), name_of_kind); where its
// disk can be made to lose what is under way, also for StoreThatLosesWrites. The promises [S1] to [S10] stand in
// coordinator/decision_store/decision_store.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/decision_store/decision_store.h"
#include "tests/unit/coordinator/store_under_test.h"

namespace troth::coordinator::store {

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};
inline void PrintTo(const StoreKind& kind, std::ostream* out) {
  *out << kind.name;
}
inline std::string name_of_kind(const testing::TestParamInfo<StoreKind>& info) {
  return info.param.name;
}

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override { store_ = GetParam().make(); }

  // Asks, settles, and takes the answer as the kind that the test expects.
  template <typename A>
  A get(Request request) {
    const auto ticket = store_->ask(std::move(request));
    store_->settle();
    return take<A>(ticket);
  }
  template <typename A>
  A take(Ticket ticket) {
    const auto answer = store_->answer(ticket);
    if (!answer || !std::holds_alternative<A>(*answer)) {
      ADD_FAILURE() << (answer ? "an answer of another kind: " + std::to_string(answer->index())
                               : std::string("no answer"));
      return A{};
    }
    return std::get<A>(*answer);
  }

  Epoch reign(std::uint64_t nonce = 77) {
    return get<EpochAcquired>(AcquireEpoch{{nonce}, wall(0), {}}).epoch;
  }

  static WallTime wall(std::int64_t s) { return WallTime{std::chrono::seconds{s}}; }
  static TransactionId id(Epoch epoch, std::uint64_t sequence) {
    return {{"bank-x7k2p9"}, epoch.number, {sequence}, std::nullopt};
  }
  // A request key whose own timestamp is `ms`.
  static RequestKey key(std::uint64_t ms, std::string client = "teller") {
    RequestId request;
    for (int i = 0; i < 6; ++i)
      request.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    request.bytes[6] = 0x70;
    request.bytes[8] = 0x80;
    return {std::move(client), request};
  }
  static CommitRecord commit(TransactionId transaction, std::optional<RequestKey> request = std::nullopt) {
    return {std::move(transaction), {{{1}, {1}}, {{2}, {2}}}, std::move(request), {}, wall(5), "transfer"};
  }
  static StoredDecision stored(CommitRecord record) { return {std::move(record), std::nullopt, {}}; }

  std::unique_ptr<StoreUnderTest> store_;
};

// Whose disk answers only when the test settles it, and whose crash can take back what it had not answered.
class StoreThatLosesWrites : public StoreConformance {};

// ---- epochs

TEST_P(StoreConformance, EachEpochIsHigherThanTheLastOneAlsoAfterARestart) {  // [S1]
  const auto first = reign(11);
  EXPECT_EQ(first.nonce.value, 11U);
  store_->crash(0);
  const auto second = reign(12);
  EXPECT_GT(second.number, first.number);
  EXPECT_EQ(second.nonce.value, 12U);
}

TEST_P(StoreConformance, AnEpochCanBeAcquiredAboveAGivenOne) {
  EXPECT_GT(get<EpochAcquired>(AcquireEpoch{{1}, wall(0), {500}}).epoch.number.value, 500U);
}

// [T8] Agents that saw an epoch twice listen again only to a reign at or above one that an operator began.
TEST_P(StoreConformance, AReignThatAnOperatorBeganIsNamedByEveryLaterOne) {
  EXPECT_EQ(get<EpochAcquired>(AcquireEpoch{{1}, wall(0), {}}).new_reign.value, 0U);
  const auto begun = get<EpochAcquired>(AcquireEpoch{{2}, wall(0), {500}});
  EXPECT_EQ(begun.new_reign, begun.epoch.number);
  store_->crash(0);
  const auto next = get<EpochAcquired>(AcquireEpoch{{3}, wall(0), {}});
  EXPECT_EQ(next.new_reign, begun.epoch.number);
  get<FloorsRaised>(RaiseFloors{next.epoch.number, {{next.epoch.number, {5}}, 0}});
  store_->crash(0);
  EXPECT_EQ(get<EpochAcquired>(AcquireEpoch{{4}, wall(0), {}}).new_reign, begun.epoch.number);
}

TEST_P(StoreConformance, TheHistoryOfEpochsIsToldUntilTheFloorPassesThem) {
  const auto first = reign();
  const auto second = reign();
  get<FloorsRaised>(RaiseFloors{second.number, {{second.number, {5}}, 0}});
  const auto third = get<EpochAcquired>(AcquireEpoch{{9}, wall(9), {}});
  ASSERT_EQ(third.history.size(), 2U);
  EXPECT_EQ(third.history.front().epoch, second) << "of epoch " << first.number.value << " nothing is left";
  EXPECT_EQ(third.history.back().acquired, wall(9));
}

TEST_P(StoreConformance, ANewerEpochFencesEveryRequestOfAnOlderOne) {  // [S1]
  const auto old = reign();
  const auto now = reign();
  const auto fenced_by_now = [&](const Fenced& fenced) { EXPECT_EQ(fenced.by, now.number); };
  fenced_by_now(get<Fenced>(Choose{old.number, commit(id(old, 1))}));
  fenced_by_now(get<Fenced>(Choose{old.number, BarredRecord{key(1), wall(0)}}));
  fenced_by_now(get<Fenced>(End{old.number, {}}));
  fenced_by_now(get<Fenced>(RaiseFloors{old.number, {}}));
  fenced_by_now(get<Fenced>(RegisterResource{old.number, {}}));
  fenced_by_now(get<Fenced>(Resolve{old.number, {id(old, 1), {1}, {"pg"}, true, "lost", "dba", wall(1)}}));
  EXPECT_FALSE(get<Found>(Lookup{id(old, 1)}).decision);
}

TEST_P(StoreConformance, AnEpochThatWasNeverAcquiredHereIsUnknown) {  // set back: attack 11
  const auto now = reign();
  const auto unknown = get<Unknown>(Choose{{now.number.value + 1}, commit(id(now, 1))});
  EXPECT_EQ(unknown.reason.code, ErrorCode::kSetBack);
}

// Attack 24: choose, no answer, choose again, fenced. The first one stands all the same, and only the lookup
// under the newer epoch tells [S6].
TEST_P(StoreConformance, FencedDoesNotMeanThatAnEarlierChooseFailed) {
  const auto old = reign();
  store_->ask(Choose{old.number, commit(id(old, 1))});
  store_->settle();
  const auto now = reign();
  get<Fenced>(Choose{old.number, commit(id(old, 1))});
  const auto found = get<Found>(Lookup{id(old, 1)});
  ASSERT_TRUE(found.decision);
  EXPECT_EQ(found.prefix.epoch, now);
}

// ---- choosing

TEST_P(StoreConformance, WhatIsWonIsFoundAlsoAfterACrash) {  // [S4]
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1000))});
  store_->crash(0);
  EXPECT_EQ(get<Found>(Lookup{id(epoch, 1)}).decision, stored(commit(id(epoch, 1), key(1000))));
  EXPECT_EQ(get<Found>(Lookup{key(1000)}).decision, stored(commit(id(epoch, 1), key(1000))));
}

TEST_P(StoreThatLosesWrites, NothingIsAnsweredBeforeItIsDurable) {  // [S4]
  const auto epoch = reign();
  const auto choose = store_->ask(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  const auto again = store_->ask(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  const auto rival = store_->ask(Choose{epoch.number, commit(id(epoch, 2), key(1))});
  const auto look = store_->ask(Lookup{id(epoch, 1)});
  for (const auto ticket : {choose, again, rival, look})
    EXPECT_FALSE(store_->answer(ticket)) << "it speaks of a record that a power cut would take back";
  store_->settle();
  take<Won>(choose);
  take<Existing>(again);
  take<Existing>(rival);
  EXPECT_TRUE(take<Found>(look).decision);
}

TEST_P(StoreThatLosesWrites, AWriteThatACrashTookBackNeverHappened) {  // [S4]
  const auto epoch = reign();
  const auto choose = store_->ask(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  store_->crash(0);
  EXPECT_FALSE(store_->answer(choose));
  EXPECT_FALSE(get<Found>(Lookup{id(epoch, 1)}).decision);
  EXPECT_FALSE(get<Found>(Lookup{key(1)}).decision);
  const auto next = reign();
  get<Won>(Choose{next.number, commit(id(next, 1), key(1))});
}

TEST_P(StoreConformance, AWriteThatSurvivedItsCrashStandsThoughNobodyHeard) {  // [S6]
  const auto epoch = reign();
  const auto choose = store_->ask(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  store_->crash(1);
  EXPECT_FALSE(store_->answer(choose)) << "the answer was lost with the process";
  EXPECT_TRUE(get<Found>(Lookup{id(epoch, 1)}).decision);
  const auto next = reign();
  EXPECT_EQ(get<Existing>(Choose{next.number, commit(id(next, 1), key(1))}).key, TakenKey::kRequest);
}

TEST_P(StoreConformance, ADoubledOrLateChooseFindsItsOwnRecord) {  // [S5]
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  const auto again = get<Existing>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  EXPECT_EQ(again.key, TakenKey::kDecision);
  EXPECT_EQ(std::get<StoredDecision>(again.holder), stored(commit(id(epoch, 1), key(1))));
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(9), false}}});
  const auto late = get<Existing>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  EXPECT_TRUE(std::get<StoredDecision>(late.holder).ended);
}

TEST_P(StoreConformance, ADecisionIsFirstWriterWins) {  // [S2] [T3]
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, AbortRecord{id(epoch, 1), wall(1), "a branch was lost"}});
  const auto existing = get<Existing>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  EXPECT_EQ(existing.key, TakenKey::kDecision);
  EXPECT_EQ(std::get<StoredDecision>(existing.holder).commit(), nullptr);
  EXPECT_FALSE(get<Found>(Lookup{key(1)}).decision) << "the refused commit took its request key all the same";
}

// Attack 41: a record that wins its transaction and loses its request would commit one request twice, because
// whoever lists what is open redrives it. [S2] Whole or not at all.
TEST_P(StoreConformance, ARecordThatLosesItsRequestKeyWritesNothing) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 7), key(1))});
  const auto existing = get<Existing>(Choose{epoch.number, commit(id(epoch, 8), key(1))});
  EXPECT_EQ(existing.key, TakenKey::kRequest);
  EXPECT_EQ(std::get<StoredDecision>(existing.holder).transaction(), id(epoch, 7));
  EXPECT_FALSE(get<Found>(Lookup{id(epoch, 8)}).decision);
  store_->crash(0);
  const auto listed = get<Listed>(List{});
  ASSERT_EQ(listed.decisions.size(), 1U);
  EXPECT_EQ(listed.decisions[0].transaction(), id(epoch, 7));
}

// Attack 41, second half: a pre-commit that later aborts must not use up the request.
TEST_P(StoreConformance, OnlyACommitOrABarClaimsARequestKey) {  // [S3]
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, PreCommitRecord{id(epoch, 1), {{{1}, {1}}}, wall(0)}});
  get<Won>(Choose{epoch.number, AbortRecord{id(epoch, 1), wall(1), "no"}});
  get<Won>(Choose{epoch.number, commit(id(epoch, 2), key(1))});
}

TEST_P(StoreConformance, APreCommitLeavesTheDecisionOpenAndComesBackWhenItIsLate) {
  const auto epoch = reign();
  const PreCommitRecord pre_commit{id(epoch, 1), {{{1}, {1}}}, wall(0)};
  get<Won>(Choose{epoch.number, pre_commit});
  EXPECT_EQ(get<Existing>(Choose{epoch.number, pre_commit}).key, TakenKey::kPreCommit);
  EXPECT_EQ(get<Listed>(List{}).undecided, std::vector{pre_commit});
  get<Won>(Choose{epoch.number, commit(id(epoch, 1))});
  EXPECT_EQ(get<Existing>(Choose{epoch.number, pre_commit}).key, TakenKey::kDecision);
  const auto listed = get<Listed>(List{});
  EXPECT_TRUE(listed.undecided.empty());
  EXPECT_EQ(listed.decisions.size(), 1U);
  const auto found = get<Found>(Lookup{id(epoch, 1)});
  EXPECT_TRUE(found.pre_commit && found.decision);
}

// Attack 40: "not committed" has a ground only when the key itself is taken.
TEST_P(StoreConformance, BarredAndCommitMeetAtTheRequestKeyAndOneWins) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, BarredRecord{key(1), wall(1)}});
  const auto refused = get<Existing>(Choose{epoch.number, commit(id(epoch, 1), key(1))});
  EXPECT_EQ(refused.key, TakenKey::kRequest);
  EXPECT_TRUE(std::holds_alternative<BarredRecord>(refused.holder));
  EXPECT_FALSE(get<Found>(Lookup{id(epoch, 1)}).decision);

  get<Won>(Choose{epoch.number, commit(id(epoch, 2), key(2))});
  const auto too_late = get<Existing>(Choose{epoch.number, BarredRecord{key(2), wall(2)}});
  EXPECT_EQ(std::get<StoredDecision>(too_late.holder).transaction(), id(epoch, 2));
  store_->crash(0);
  EXPECT_TRUE(get<Found>(Lookup{key(1)}).barred);
  EXPECT_FALSE(get<Found>(Lookup{key(2)}).barred);
}

TEST_P(StoreConformance, TwoClientsMayUseOneRequestId) {  // the key is (client, request_id)
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1, "teller"))});
  get<Won>(Choose{epoch.number, commit(id(epoch, 2), key(1, "auditor"))});
}

TEST_P(StoreConformance, ManyRequestsInFlightStandEachForItself) {  // [S10]
  const auto epoch = reign();
  std::vector<Ticket> tickets;
  for (std::uint64_t i = 1; i <= 40; ++i)
    tickets.push_back(store_->ask(Choose{epoch.number, commit(id(epoch, i), key(i / 2))}));
  store_->settle();
  std::size_t won = 0;
  for (const auto ticket : tickets) {
    const auto answer = store_->answer(ticket);
    ASSERT_TRUE(answer);
    won += std::holds_alternative<Won>(*answer) ? 1 : 0;
  }
  EXPECT_EQ(won, 21U) << "keys 0 to 20, each once";
}

// ---- reading

TEST_P(StoreConformance, AbsenceNamesThePrefixThatItIsReadFrom) {  // [S7], attack 23
  const auto old = reign();
  EXPECT_EQ(get<Found>(Lookup{id(old, 1)}).prefix.epoch, old);
  const auto now = reign();
  const auto found = get<Found>(Lookup{id(old, 1)});
  EXPECT_FALSE(found.decision || found.pre_commit || found.barred);
  EXPECT_EQ(found.prefix.epoch, now);
}

TEST_P(StoreConformance, PrefixesNeverGoBack) {
  const auto epoch = reign();
  const auto before = get<Found>(Lookup{id(epoch, 1)}).prefix.position;
  get<Won>(Choose{epoch.number, commit(id(epoch, 1))});
  const auto after = get<Found>(Lookup{id(epoch, 2)}).prefix.position;
  EXPECT_GT(after, before);
  store_->crash(0);
  EXPECT_GE(get<Found>(Lookup{id(epoch, 2)}).prefix.position, after);
}

TEST_P(StoreConformance, AOnePhaseIdIsNotTheTransactionOfTheSameNumber) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1))});
  auto tagged = id(epoch, 1);
  tagged.one_phase = ResourceNumber{3};
  EXPECT_FALSE(get<Found>(Lookup{tagged}).decision);
}

TEST_P(StoreConformance, ListsComeInPiecesAndInOrder) {
  const auto epoch = reign();
  for (const auto sequence : {5, 3, 1, 4, 2})
    get<Won>(Choose{epoch.number, commit(id(epoch, sequence))});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 2), wall(1), false}}});
  std::vector<std::uint64_t> seen;
  std::optional<Position> cursor;
  do {
    const auto listed = get<Listed>(List{Listing::kOpen, cursor, 3});
    EXPECT_LE(listed.decisions.size(), 3U);
    for (const auto& decision : listed.decisions)
      seen.push_back(decision.transaction().sequence.value);
    cursor = listed.next;
  } while (cursor);
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 3, 4, 5}));
  const auto ended = get<Listed>(List{Listing::kEnded, std::nullopt, 3});
  ASSERT_EQ(ended.decisions.size(), 1U);
  EXPECT_FALSE(ended.next);
}

// ---- ending and forgetting

// Attack 7: what is ended is no longer redriven, but its outcome and its request stay [S8] [T6].
TEST_P(StoreConformance, EndKeepsOutcomeAndRequest) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1000))});
  EXPECT_EQ(get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(9), true}}}).counts, (Counts{0, 1, 0}));
  store_->crash(0);
  reign();
  EXPECT_TRUE(get<Listed>(List{}).decisions.empty());
  for (const auto& found : {get<Found>(Lookup{id(epoch, 1)}), get<Found>(Lookup{key(1000)})}) {
    ASSERT_TRUE(found.decision && found.decision->ended);
    EXPECT_TRUE(found.decision->ended->heuristic);
    EXPECT_EQ(found.decision->ended->ended, wall(9));
  }
}

TEST_P(StoreConformance, EndingTwiceOrWhatWasNeverDecidedChangesNothing) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1))});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(1), false}, {id(epoch, 9), wall(1), false}}});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(2), true}}});
  const auto found = get<Found>(Lookup{id(epoch, 1)});
  ASSERT_TRUE(found.decision && found.decision->ended);
  EXPECT_EQ(*found.decision->ended, (EndedRecord{id(epoch, 1), wall(1), false}));
  EXPECT_FALSE(get<Found>(Lookup{id(epoch, 9)}).decision);
}

// Attack 47: a dead agent keeps its record open for ever; the floor passes it, and it stays [S8].
TEST_P(StoreConformance, TheFloorPassesWhatIsOpenAndDropsWhatIsEnded) {
  const auto epoch = reign();
  for (const auto sequence : {1, 2, 3})
    get<Won>(Choose{epoch.number, commit(id(epoch, sequence))});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(1), false}, {id(epoch, 3), wall(1), false}}});
  const Floors floors{{epoch.number, {3}}, 0};
  const auto raised = get<FloorsRaised>(RaiseFloors{epoch.number, floors});
  EXPECT_EQ(raised.floors, floors);
  EXPECT_EQ(raised.counts, (Counts{1, 1, 0}));
  store_->crash(0);
  EXPECT_FALSE(get<Found>(Lookup{id(epoch, 1)}).decision);
  EXPECT_EQ(get<Found>(Lookup{id(epoch, 1)}).prefix.floors, floors) << "so that absence reads as too old";
  EXPECT_TRUE(get<Found>(Lookup{id(epoch, 2)}).decision) << "open";
  EXPECT_TRUE(get<Found>(Lookup{id(epoch, 3)}).decision) << "not below the floor";
  EXPECT_EQ(get<Listed>(List{}).decisions.size(), 1U);
}

// Attack 43: the retry of a client with a fast clock. Its id is younger than the request floor, so it must
// still be remembered, however old its transaction is.
TEST_P(StoreConformance, ARequestLeavesOnlyBelowItsOwnFloor) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1), key(1'000))});
  get<Won>(Choose{epoch.number, commit(id(epoch, 2), key(9'000))});
  get<Won>(Choose{epoch.number, BarredRecord{key(1'001), wall(0)}});
  get<Won>(Choose{epoch.number, BarredRecord{key(9'001), wall(0)}});
  get<EndRecorded>(End{epoch.number, {{id(epoch, 1), wall(1), false}, {id(epoch, 2), wall(1), false}}});
  const auto raised = get<FloorsRaised>(RaiseFloors{epoch.number, {{epoch.number, {10}}, 5'000}});
  EXPECT_EQ(raised.counts, (Counts{0, 1, 1}));
  store_->crash(0);
  EXPECT_FALSE(get<Found>(Lookup{key(1'000)}).decision);
  EXPECT_TRUE(get<Found>(Lookup{key(9'000)}).decision);
  EXPECT_FALSE(get<Found>(Lookup{key(1'001)}).barred);
  EXPECT_TRUE(get<Found>(Lookup{key(9'001)}).barred);
  const auto next = reign();
  EXPECT_EQ(get<Existing>(Choose{next.number, commit(id(next, 1), key(9'000))}).key, TakenKey::kRequest);
}

TEST_P(StoreConformance, FloorsNeverFall) {  // [S9]
  const auto epoch = reign();
  const Floors high{{epoch.number, {9}}, 900};
  get<FloorsRaised>(RaiseFloors{epoch.number, high});
  EXPECT_EQ(get<FloorsRaised>(RaiseFloors{epoch.number, {{epoch.number, {3}}, 300}}).floors, high);
  store_->crash(0);
  EXPECT_EQ(get<EpochAcquired>(AcquireEpoch{{1}, wall(0), {}}).floors, high);
}

// ---- resources and operators

TEST_P(StoreConformance, AResourceGetsItsNumberOnce) {
  const auto epoch = reign();
  ResourceRecord accounts{{"accounts"}, {}, "postgres", "sys-1/bank", {"agent-a"}, {1}, "127.0.0.1:7001"};
  ResourceRecord ledger{{"ledger"}, {}, "mysql", "uuid-1/ledger", {"agent-a"}, {1}, "127.0.0.1:7001"};
  const auto first = get<ResourceRegistered>(RegisterResource{epoch.number, accounts}).resource.number;
  const auto second = get<ResourceRegistered>(RegisterResource{epoch.number, ledger}).resource.number;
  EXPECT_NE(first, second);
  accounts.agent = {"agent-b"};
  accounts.incarnation = {7};
  EXPECT_EQ(get<ResourceRegistered>(RegisterResource{epoch.number, accounts}).resource.number, first);
  store_->crash(0);
  const auto acquired = get<EpochAcquired>(AcquireEpoch{{1}, wall(0), {}});
  accounts.number = first;
  ledger.number = second;
  EXPECT_EQ(acquired.resources, (std::vector{accounts, ledger}));
}

TEST_P(StoreConformance, ResourceNumbersRunOutWithARefusal) {
  const auto epoch = reign();
  std::vector<Ticket> tickets;
  for (std::uint32_t i = 0; i <= kMaxResourceNumber; ++i) {
    ResourceRecord resource;
    resource.name = {"r" + std::to_string(i)};
    tickets.push_back(store_->ask(RegisterResource{epoch.number, resource}));
  }
  store_->settle();
  EXPECT_EQ(take<ResourceRegistered>(tickets[kMaxResourceNumber - 1]).resource.number.value,
            kMaxResourceNumber);
  EXPECT_EQ(take<Refused>(tickets[kMaxResourceNumber]).reason.code, ErrorCode::kOverloaded);
}

TEST_P(StoreConformance, AnOperatorsResolutionStaysWithItsTransaction) {
  const auto epoch = reign();
  get<Won>(Choose{epoch.number, commit(id(epoch, 1))});
  const ResolutionRecord resolution{id(epoch, 1), {2}, {"ledger"}, true, "disk lost", "ann", wall(3)};
  get<Resolved>(Resolve{epoch.number, resolution});
  store_->crash(0);
  const auto found = get<Found>(Lookup{id(epoch, 1)});
  ASSERT_TRUE(found.decision);
  EXPECT_EQ(found.decision->resolutions, std::vector{resolution});
}

}  // namespace troth::coordinator::store
