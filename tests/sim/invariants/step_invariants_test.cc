// Of each invariant that is judged at every step: it is silent about what is right, and fails on what is broken.
#include "tests/sim/invariants/step_invariants.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth::sim {
namespace {

using namespace coordinator::store;
using agent::BranchEnd;
using agent::MarkerState;
using agent::Vote;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr DatabaseNumber kFirst{0};
constexpr DatabaseNumber kSecond{1};

class StepInvariants : public testing::Test {
 protected:
  StepInvariants() {
    ledger.open(request, {{0, 1, -5}, {1, 1, 5}});
    for (std::uint32_t number = 1; number <= 2; ++number) {
      ResourceRecord resource;
      resource.name = {"r" + std::to_string(number)};
      resource.number = {number};
      happens(StoreDurable{resource});
    }
  }

  // What is wrong with it, if anything.
  Broken happens(const Happening& happening) {
    Broken broken;
    judge(evidence, happening, broken);
    return broken;
  }

  static TransactionId transaction(std::uint64_t sequence, std::uint32_t epoch = 1) {
    return {{"bank-sim001"}, {epoch}, {sequence}, {}};
  }
  static TransactionId one_phase(std::uint64_t sequence) {
    return {{"bank-sim001"}, {1}, {sequence}, ResourceNumber{1}};
  }
  VoteSent vote(const TransactionId& id, DatabaseNumber database, Vote vote) const {
    return {"ag1", epoch, {id, {static_cast<std::uint32_t>(database.value + 1)}}, database, vote};
  }
  CommitRecord commit(const TransactionId& id) const {
    CommitRecord record;
    record.transaction = id;
    record.branches = {{{1}, {1}}, {{2}, {2}}};
    record.request = request;
    return record;
  }
  MarkerStands marker(const TransactionId& id, DatabaseNumber database, MarkerState state) const {
    agent::MarkerRow row;
    row.transaction = id.text();
    row.state = state;
    if (state == MarkerState::kCommitted) row.request = request;
    return {database, id.text(), row};
  }
  JournalAppended journals(const agent::JournalRecord& record) const { return {"ag1", record}; }
  // Everything up to a durable decision, as it should be.
  void decide(const TransactionId& id) {
    EXPECT_THAT(happens(JournalDurable{"ag1", agent::EpochSeen{epoch}}), IsEmpty());
    EXPECT_THAT(happens(vote(id, kFirst, Vote::kYes)), IsEmpty());
    EXPECT_THAT(happens(vote(id, kSecond, Vote::kYes)), IsEmpty());
    EXPECT_THAT(happens(StoreAppended{commit(id)}), IsEmpty());
    EXPECT_THAT(happens(StoreDurable{commit(id)}), IsEmpty());
  }

  void acknowledge(const TransactionId& id, DatabaseNumber database) {
    const std::uint32_t number = static_cast<std::uint32_t>(database.value + 1);
    const BranchId branch{id, {number}};
    happens(JournalDurable{"ag1", agent::DecisionLearned{branch, {"r" + std::to_string(number)}}});
    happens(marker(id, database, MarkerState::kCommitted));
    EXPECT_THAT(happens(EndSent{"ag1", branch, database, BranchEnd::kCommitted}), IsEmpty());
  }

  Ledger ledger;
  RequestKey request{"cl1", {}};
  Evidence evidence{ledger};
  Epoch epoch{{1}, {77}};
};

TEST_F(StepInvariants, AWholeCommitBreaksNone) {
  const auto id = transaction(1);
  decide(id);
  const BranchId branch{id, {1}};
  EXPECT_THAT(happens(CommitCalled{branch, kFirst}), IsEmpty());
  EXPECT_THAT(happens(journals(agent::DecisionLearned{branch, {"r1"}})), IsEmpty());
  EXPECT_THAT(happens(JournalDurable{"ag1", agent::DecisionLearned{branch, {"r1"}}}), IsEmpty());
  EXPECT_THAT(happens(marker(id, kFirst, MarkerState::kCommitted)), IsEmpty());
  EXPECT_THAT(happens(EndSent{"ag1", branch, kFirst, BranchEnd::kCommitted}), IsEmpty());
  EXPECT_THAT(happens(ToldCommitted{request, id}), IsEmpty());
  EXPECT_THAT(happens(StoreDurable{EndedRecord{id, {}, false}}), IsEmpty());
  EXPECT_THAT(happens(StoreAppended{coordinator::store::Floors{{{1}, {9}}, 9}}), IsEmpty());
  EXPECT_THAT(happens(journals(agent::FloorRaised{{"r1"}, {{{1}, {9}}, 9}})), IsEmpty());
  EXPECT_THAT(happens(MarkerGone{kFirst, id.text(), {{1}, {9}}}), IsEmpty());
}

// [T1]
TEST_F(StepInvariants, ACommitWithoutAYesIsSeen) {
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kNo));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}),
              ElementsAre(HasSubstr("database 2 never voted yes")));
}

TEST_F(StepInvariants, ACommitThatLacksABranchIsSeen) {
  happens(vote(transaction(1), kFirst, Vote::kYes));
  auto record = commit(transaction(1));
  record.branches.pop_back();
  EXPECT_THAT(happens(StoreAppended{record}), ElementsAre(HasSubstr("never voted read-only")));
  happens(vote(transaction(2), kFirst, Vote::kYes));
  happens(vote(transaction(2), kSecond, Vote::kReadOnly));
  record.transaction = transaction(2);
  record.request.reset();
  EXPECT_THAT(happens(StoreAppended{record}), IsEmpty());
}

TEST_F(StepInvariants, ACommitOfARequestThatNobodySentIsSeen) {
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  auto record = commit(transaction(1));
  record.request->client = "nobody";
  EXPECT_THAT(happens(StoreAppended{record}), ElementsAre(HasSubstr("nobody sent")));
}

// [T2]
TEST_F(StepInvariants, ACommitThatIsHeardBeforeItsRecordIsDurableIsSeen) {
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  happens(StoreAppended{commit(transaction(1))});
  EXPECT_THAT(happens(CommitCalled{{transaction(1), {1}}, kFirst}), ElementsAre(HasSubstr("T2")));
  EXPECT_THAT(happens(ToldCommitted{request, transaction(1)}), ElementsAre(HasSubstr("T2")));
  EXPECT_THAT(happens(ToldCommitted{request, one_phase(2)}), ElementsAre(HasSubstr("no marker of it")));
}

// [T3]
TEST_F(StepInvariants, NotCommittedOfWhatIsCommittedIsSeen) {
  decide(transaction(1));
  EXPECT_THAT(happens(ToldNotCommitted{request, transaction(1)}), ElementsAre(HasSubstr("and it is")));
}

TEST_F(StepInvariants, ACommitOfWhatWasToldNotCommittedIsSeen) {
  EXPECT_THAT(happens(ToldNotCommitted{request, transaction(1)}), IsEmpty());
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}),
              ElementsAre(HasSubstr("its commit is proposed")));
  EXPECT_THAT(happens(ToldNotCommitted{request, one_phase(2)}), IsEmpty());
  EXPECT_THAT(happens(marker(one_phase(2), kFirst, MarkerState::kCommitted)),
              testing::Contains(HasSubstr("database 1 commits it")));
}

TEST_F(StepInvariants, AnAbortOfWhatIsDecidedIsSeen) {
  decide(transaction(1));
  EXPECT_THAT(happens(marker(transaction(1), kFirst, MarkerState::kBarred)),
              ElementsAre(HasSubstr("its commit was chosen")));
  EXPECT_THAT(happens(journals(agent::Finished{{transaction(1), {2}}, {"r2"}, BranchEnd::kRolledBack})),
              ElementsAre(HasSubstr("rolled back")));
  EXPECT_THAT(happens(journals(agent::Finished{{transaction(1), {2}}, {"r2"}, BranchEnd::kLost})),
              ElementsAre(HasSubstr("lost")));
}

TEST_F(StepInvariants, ACommitOfWhatIsBarredIsSeen) {
  EXPECT_THAT(happens(marker(transaction(1), kFirst, MarkerState::kBarred)), IsEmpty());
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}),
              ElementsAre(HasSubstr("database 1 has it as never to commit")));
}

TEST_F(StepInvariants, ACommitThatNobodyChoseIsSeen) {
  EXPECT_THAT(happens(marker(transaction(1), kFirst, MarkerState::kCommitted)),
              ElementsAre(HasSubstr("nobody chose that")));
  EXPECT_THAT(happens(journals(agent::DecisionLearned{{transaction(2), {1}}, {"r1"}})),
              ElementsAre(HasSubstr("nobody chose it")));
  EXPECT_THAT(happens(journals(agent::Finished{{transaction(3), {1}}, {"r1"}, BranchEnd::kCommitted})),
              ElementsAre(HasSubstr("database 1 never had")));
}

// [T5] [T6]
TEST_F(StepInvariants, ACommitBelowTheFloorIsSeen) {
  happens(StoreAppended{coordinator::store::Floors{{{1}, {5}}, 0}});
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}), ElementsAre(HasSubstr("below the floor")));
}

TEST_F(StepInvariants, AResourcesFloorAboveTheStoresIsSeen) {
  EXPECT_THAT(happens(journals(agent::FloorRaised{{"r1"}, {{{1}, {1}}, 0}})),
              ElementsAre(HasSubstr("passes the store's")));
}

TEST_F(StepInvariants, AResourcesFloorAboveAnOpenCommitIsSeen) {
  decide(transaction(1));
  happens(StoreAppended{coordinator::store::Floors{{{1}, {5}}, 0}});
  EXPECT_THAT(happens(journals(agent::FloorRaised{{"r1"}, {{{1}, {5}}, 0}})),
              ElementsAre(HasSubstr("whose commit is not ended")));
}

TEST_F(StepInvariants, ADecisionThatAStartDoesNotFindIsSeen) {
  decide(transaction(1));
  happens(StoreOpens{});
  EXPECT_THAT(happens(StoreAppended{EpochRecord{{{2}, {5}}, {}, {}}}),
              ElementsAre(HasSubstr("lost the commit")));
}

TEST_F(StepInvariants, ADecisionThatAStartFindsIsNone) {
  decide(transaction(1));
  happens(StoreOpens{});
  happens(StoreFound{commit(transaction(1))});
  EXPECT_THAT(happens(StoreAppended{EpochRecord{{{2}, {5}}, {}, {}}}), IsEmpty());
}

// [T8]
TEST_F(StepInvariants, AnEpochThatFallsIsSeen) {
  happens(JournalDurable{"ag1", agent::EpochSeen{{{3}, {8}}}});
  happens(JournalOpens{"ag1"});
  EXPECT_THAT(happens(journals(agent::EpochSeen{{{2}, {7}}})), ElementsAre(HasSubstr("behind epoch 3")));
  EXPECT_THAT(happens(journals(agent::EpochSeen{{{3}, {9}}})), ElementsAre(HasSubstr("behind epoch 3")));
  EXPECT_THAT(happens(journals(agent::EpochSeen{{{3}, {8}}})), IsEmpty());
  EXPECT_THAT(happens(journals(agent::EpochSeen{{{4}, {1}}})), IsEmpty());
}

TEST_F(StepInvariants, AVoteUnderAnEpochThatIsNotDurableIsSeen) {
  EXPECT_THAT(happens(vote(transaction(1), kFirst, Vote::kYes)),
              ElementsAre(HasSubstr("which its journal does not have")));
}

// [T6] [T7]
TEST_F(StepInvariants, AMarkerThatChangesIsSeen) {
  decide(transaction(1));
  happens(marker(transaction(1), kFirst, MarkerState::kCommitted));
  EXPECT_THAT(happens(marker(transaction(1), kFirst, MarkerState::kBarred)),
              testing::Contains(HasSubstr("was committed, and becomes barred")));
}

TEST_F(StepInvariants, AMarkerBecomesResolvedByAnOperatorOnly) {
  decide(transaction(1));
  const auto before = marker(transaction(1), kFirst, MarkerState::kCommitted);
  happens(before);
  auto resolved = before;
  resolved.row.state = MarkerState::kResolved;
  EXPECT_THAT(happens(resolved), testing::Contains(HasSubstr("was committed, and becomes resolved")));
  happens(before);
  happens(journals(agent::Resolved{{transaction(1), {1}}, {"r1"}, true, "why", "ann"}));
  EXPECT_THAT(happens(resolved), IsEmpty());
  auto without_request = resolved;
  without_request.row.request.reset();
  happens(before);
  EXPECT_THAT(happens(without_request), testing::Contains(HasSubstr("and becomes resolved")));
}

TEST_F(StepInvariants, AMarkerThatGoesAboveTheFloorIsSeen) {
  decide(transaction(5));
  happens(marker(transaction(5), kFirst, MarkerState::kCommitted));
  EXPECT_THAT(happens(MarkerGone{kFirst, transaction(5).text(), {{1}, {5}}}),
              ElementsAre(HasSubstr("above the floor")));
}

TEST_F(StepInvariants, AnAcknowledgementOfWhatIsNotCommittedIsSeen) {
  decide(transaction(1));
  const EndSent sent{"ag1", {transaction(1), {1}}, kFirst, BranchEnd::kCommitted};
  EXPECT_THAT(happens(sent), ElementsAre(HasSubstr("has not committed it"), HasSubstr("journal does not")));
  happens(marker(transaction(1), kFirst, MarkerState::kCommitted));
  EXPECT_THAT(happens(sent), ElementsAre(HasSubstr("journal does not")));
}

TEST_F(StepInvariants, TwoCommitsOfOneRequestAreSeen) {
  decide(transaction(1));
  happens(vote(transaction(2), kFirst, Vote::kYes));
  happens(vote(transaction(2), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(2))}), ElementsAre(HasSubstr("is committed as")));
  EXPECT_THAT(happens(marker(one_phase(3), kFirst, MarkerState::kCommitted)),
              ElementsAre(HasSubstr("is committed as")));
}

TEST_F(StepInvariants, ACommitOfABarredRequestIsSeen) {
  EXPECT_THAT(happens(ToldBarred{request}), IsEmpty());
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}), ElementsAre(HasSubstr("is barred")));
}

// An operator's word
TEST_F(StepInvariants, ABranchThatIsEndedByHandWithoutAWordIsSeen) {
  const BranchId branch{transaction(1), {1}};
  EXPECT_THAT(happens(journals(agent::Finished{branch, {"r1"}, BranchEnd::kHeuristicCommitted})),
              ElementsAre(HasSubstr("nobody did")));
  const agent::Resolved resolved{branch, {"r1"}, true, "why", "op"};
  EXPECT_THAT(happens(journals(resolved)), ElementsAre(HasSubstr("no store has a word of it")));
  ResolutionRecord word;
  word.transaction = branch.transaction;
  word.branch = branch.branch;
  happens(StoreDurable{word});
  EXPECT_THAT(happens(journals(resolved)), IsEmpty());
  EXPECT_THAT(happens(journals(agent::Finished{branch, {"r1"}, BranchEnd::kHeuristicCommitted})), IsEmpty());
}

// [T9]
TEST_F(StepInvariants, ABarrierOnAServerThatWasSetBackIsSeen) {
  EXPECT_THAT(happens(BarrierAsked{kFirst}), IsEmpty());
  happens(DatabaseSetBack{kFirst, {}, {}});
  EXPECT_THAT(happens(BarrierAsked{kSecond}), IsEmpty());
  EXPECT_THAT(happens(BarrierAsked{kFirst}), ElementsAre(HasSubstr("was set back")));
  happens(journals(agent::SetBackAccepted{{"r1"}}));
  EXPECT_THAT(happens(BarrierAsked{kFirst}), IsEmpty());
}

TEST_F(StepInvariants, WhatARestoredDatabaseLacksIsNoContradictionAndTheRestIs) {
  decide(transaction(1));
  happens(marker(transaction(1), kFirst, MarkerState::kCommitted));
  happens(DatabaseSetBack{kFirst, {}, {}});
  EXPECT_THAT(happens(marker(transaction(1), kFirst, MarkerState::kBarred)), IsEmpty());
  EXPECT_THAT(happens(ToldNotCommitted{request, transaction(1)}), ElementsAre(HasSubstr("and it is")));
}

TEST_F(StepInvariants, ABarThatComesTooLateIsSeen) {
  decide(transaction(1));
  EXPECT_THAT(happens(ToldBarred{request}), ElementsAre(HasSubstr("is committed as")));
}

// [T6]
TEST_F(StepInvariants, AnEndWithoutAnAcknowledgementIsSeen) {
  const auto id = transaction(1);
  EXPECT_THAT(happens(StoreAppended{EndedRecord{id, {}, false}}), ElementsAre(HasSubstr("never chosen")));
  decide(id);
  acknowledge(id, kFirst);
  EXPECT_THAT(happens(StoreAppended{EndedRecord{id, {}, false}}),
              ElementsAre(HasSubstr("nobody has acknowledged branch 2")));
  EXPECT_THAT(happens(OpenShown{{id}}), IsEmpty());
  acknowledge(id, kSecond);
  EXPECT_THAT(happens(StoreAppended{EndedRecord{id, {}, false}}), IsEmpty());
}

TEST_F(StepInvariants, AnEndThatAnOperatorVouchedForIsNone) {
  decide(transaction(1));
  acknowledge(transaction(1), kFirst);
  ResolutionRecord word;
  word.transaction = transaction(1);
  word.branch = {2};
  happens(StoreDurable{word});
  EXPECT_THAT(happens(StoreAppended{EndedRecord{transaction(1), {}, true}}), IsEmpty());
}

TEST_F(StepInvariants, AnOpenDecisionOfAnEarlierReignThatTheCoordinatorDoesNotKnowIsSeen) {
  decide(transaction(1));
  EXPECT_THAT(happens(OpenShown{}), IsEmpty());  // it may have come while that was put together
  happens(StoreDurable{EpochRecord{{{2}, {5}}, {}, {}}});
  EXPECT_THAT(happens(OpenShown{{transaction(1)}}), IsEmpty());
  EXPECT_THAT(happens(OpenShown{}), ElementsAre(HasSubstr("does not know it as open")));
}

TEST_F(StepInvariants, AppliedOfWhatADatabaseLacksIsSeen) {
  decide(transaction(1));
  happens(marker(transaction(1), kFirst, MarkerState::kCommitted));
  EXPECT_THAT(happens(ToldApplied{request, transaction(1)}), ElementsAre(HasSubstr("database 2 has not")));
  happens(marker(transaction(1), kSecond, MarkerState::kCommitted));
  EXPECT_THAT(happens(ToldApplied{request, transaction(1)}), IsEmpty());
}

// [T2] [T5]
TEST_F(StepInvariants, AnInquiryThatHearsWhatTheStoreDeniesIsSeen) {
  using agent::GroupDecision;
  const BranchId branch{transaction(1), {1}};
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kCommit}), ElementsAre(HasSubstr("T2")));
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kTooOld}),
              ElementsAre(HasSubstr("above the floor")));
  decide(transaction(1));
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kCommit}), IsEmpty());
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kAbort}), ElementsAre(HasSubstr("was chosen")));
  happens(StoreAppended{coordinator::store::Floors{{{1}, {5}}, 0}});
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kTooOld}),
              ElementsAre(HasSubstr("its commit is not ended")));
  happens(StoreDurable{EndedRecord{transaction(1), {}, false}});
  EXPECT_THAT(happens(InquiryAnswered{branch, GroupDecision::kTooOld}), IsEmpty());
}

TEST_F(StepInvariants, ACommitOfWhatAnAgentWasToldToRollBackIsSeen) {
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(InquiryAnswered{{transaction(1), {1}}, agent::GroupDecision::kAbort}), IsEmpty());
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}),
              ElementsAre(HasSubstr("an agent was told to roll it back")));
}

// [T7] [T9]
TEST_F(StepInvariants, OnePhaseWorkThatNeverCommitsWithoutABarrierIsSeen) {
  const BranchId branch{one_phase(1), {1}};
  auto no = vote(one_phase(1), kFirst, Vote::kNo);
  no.nothing_stands = true;
  EXPECT_THAT(happens(OnePhaseRuns{branch, kFirst}), IsEmpty());
  EXPECT_THAT(happens(no), ElementsAre(HasSubstr("no barrier stands")));
  EXPECT_THAT(happens(SettleSent{"ag1", branch, kFirst, BranchEnd::kRolledBack}),
              ElementsAre(HasSubstr("no barrier stands")));
  happens(marker(one_phase(1), kFirst, MarkerState::kBarred));
  EXPECT_THAT(happens(no), IsEmpty());
  EXPECT_THAT(happens(SettleSent{"ag1", branch, kFirst, BranchEnd::kRolledBack}), IsEmpty());
}

TEST_F(StepInvariants, OnePhaseWorkThatRunsBehindItsNoIsSeen) {
  auto no = vote(one_phase(1), kFirst, Vote::kNo);
  no.nothing_stands = true;
  EXPECT_THAT(happens(no), IsEmpty());  // it never came to its database
  EXPECT_THAT(happens(OnePhaseRuns{{one_phase(2), {1}}, kFirst}), IsEmpty());
  EXPECT_THAT(happens(OnePhaseRuns{{one_phase(1), {1}}, kFirst}), ElementsAre(HasSubstr("T7")));
}

// Attack 45
TEST_F(StepInvariants, AResourceThatWaitsForAHandWithoutAReasonIsSeen) {
  const ResourceGivenUp given_up{"ag1", kFirst, "not owner"};
  EXPECT_THAT(happens(given_up), ElementsAre(HasSubstr("database 1 as not owner")));
  happens(JournalDamaged{"ag2"});
  happens(DatabaseSetBack{kSecond, {}, {}});
  EXPECT_THAT(happens(given_up), ElementsAre(HasSubstr("database 1 as not owner")));
  happens(JournalDamaged{"ag1"});
  EXPECT_THAT(happens(given_up), IsEmpty());
}

// [T3]
TEST_F(StepInvariants, EffectNoneOfWhatIsCommittedIsSeen) {
  decide(transaction(1));
  EXPECT_THAT(happens(ToldNothingStands{request}), ElementsAre(HasSubstr("is committed as")));
}

TEST_F(StepInvariants, AnEarlierAttemptThatCommitsBehindAnEffectNoneIsSeen) {
  happens(AttemptSent{request, one_phase(1)});
  EXPECT_THAT(happens(ToldNothingStands{request}), IsEmpty());
  happens(AttemptSent{request, one_phase(2)});
  EXPECT_THAT(happens(marker(one_phase(1), kFirst, MarkerState::kCommitted)),
              ElementsAre(HasSubstr("database 1 commits it")));
}

TEST_F(StepInvariants, ALaterAttemptBehindAnEffectNoneIsNone) {
  happens(AttemptSent{request, one_phase(1)});
  happens(ToldNothingStands{request});
  happens(AttemptSent{request, one_phase(2)});
  EXPECT_THAT(happens(marker(one_phase(2), kFirst, MarkerState::kCommitted)), IsEmpty());
}

TEST_F(StepInvariants, ACommitOfARequestThatTheStoreHasAsBarredIsSeen) {
  happens(StoreDurable{BarredRecord{request, {}}});
  happens(vote(transaction(1), kFirst, Vote::kYes));
  happens(vote(transaction(1), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1))}),
              ElementsAre(HasSubstr("the store has request")));
}

// A coordinator's disk of an earlier moment
TEST_F(StepInvariants, WhatARestoredStoreLacksIsNoContradictionAndTheRestIs) {
  decide(transaction(1));
  happens(marker(transaction(1), kFirst, MarkerState::kCommitted));
  happens(StoreSetBack{});
  happens(StoreOpens{});
  EXPECT_THAT(happens(StoreAppended{EpochRecord{{{2}, {5}}, {}, {2}}}), IsEmpty());
  // Nobody there knows of it any more, and an agent that had heard of its commit goes on with that.
  EXPECT_THAT(happens(ToldNotCommitted{request, transaction(1)}), IsEmpty());
  EXPECT_THAT(happens(marker(transaction(1), kSecond, MarkerState::kCommitted)), IsEmpty());
  // But what one database has, no other one bars.
  EXPECT_THAT(happens(marker(transaction(1), kSecond, MarkerState::kBarred)),
              testing::Contains(HasSubstr("database 1 has committed it")));
  // And its request commits once.
  happens(vote(transaction(2, 2), kFirst, Vote::kYes));
  happens(vote(transaction(2, 2), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(2, 2))}), ElementsAre(HasSubstr("is committed as")));
}

TEST_F(StepInvariants, WhatARestoredStoreHasIsHeldAgainstItAsEver) {
  decide(transaction(1));
  happens(StoreSetBack{});
  happens(StoreOpens{});
  happens(StoreFound{commit(transaction(1))});
  EXPECT_THAT(happens(StoreAppended{EpochRecord{{{2}, {5}}, {}, {2}}}), IsEmpty());
  EXPECT_THAT(happens(ToldNotCommitted{request, transaction(1)}), ElementsAre(HasSubstr("and it is")));
  EXPECT_THAT(happens(OpenShown{}), ElementsAre(HasSubstr("does not know it as open")));
}

TEST_F(StepInvariants, ABarThatARestoredStoreLacksBindsNobody) {
  happens(StoreDurable{BarredRecord{request, {}}});
  happens(ToldBarred{request});
  happens(StoreSetBack{});
  happens(StoreOpens{});
  happens(StoreAppended{EpochRecord{{{2}, {5}}, {}, {2}}});
  happens(vote(transaction(1, 2), kFirst, Vote::kYes));
  happens(vote(transaction(1, 2), kSecond, Vote::kYes));
  EXPECT_THAT(happens(StoreAppended{commit(transaction(1, 2))}), IsEmpty());
}

TEST_F(StepInvariants, ABranchThatIsEndedByHandAtItsAgentNeedsNoStore) {
  const BranchId branch{transaction(1), {1}};
  happens(EndedByHand{branch});
  EXPECT_THAT(happens(journals(agent::Resolved{branch, {"r1"}, true, "why", "op"})), IsEmpty());
}

}  // namespace
}  // namespace troth::sim
