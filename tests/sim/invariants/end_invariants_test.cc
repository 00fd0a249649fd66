// Of each check that is made at the end of a run: it is silent about what is right, and fails on what is broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/invariants/invariants.h"
#include "tests/sim/invariants/run_end.h"
#include "tests/sim/simulation.h"

namespace troth::sim {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One transfer of 5 from the first database's account to the second's, committed in both.
class EndInvariants : public testing::Test {
 protected:
  EndInvariants() {
    ledger.beginning = {{{0, 1}, 100}, {{1, 1}, 100}};
    ledger.open(request, {{0, 1, -5}, {1, 1, 5}});
    ledger.tell_committed(request, id.text());
    ledger.at(request).over = true;
    evidence.truths[id].decided = true;
    end.committed[request][id.text()] = {0, 1};
    end.databases = {{"db1", {{1, 95}}, {}}, {"db2", {{1, 105}}, {}}};
  }

  // Everything, as broken_invariants() has it but for what is on disks.
  [[nodiscard]] Broken check() const {
    Broken broken;
    check_agreement(end, broken);
    check_tellings(end, broken);
    check_one_commit_per_request(end, broken);
    check_money(end, broken);
    return broken;
  }
  // Rolled back in the second database, which has its money as before.
  void miss_second() {
    end.committed[request][id.text()] = {0};
    end.databases[1].accounts[1] = 100;
  }

  Ledger ledger;
  const RequestKey request{"cl1", {}};
  const TransactionId id{{"bank-sim001"}, {1}, {1}, {}};
  Evidence evidence{ledger};
  RunEnd end{ledger, evidence, {}, {}, false};
};

TEST_F(EndInvariants, AWholeTransferBreaksNone) {
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(EndInvariants, HalfATransferIsSeen) {
  miss_second();
  EXPECT_THAT(check(), ElementsAre(HasSubstr("agreement"), HasSubstr("5 is missing from the bank")));
}

TEST_F(EndInvariants, WhatIsInDoubtMayFollow) {
  miss_second();
  end.databases[1].prepared = {{id, {2}}};
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(EndInvariants, ABranchThatAnOperatorRolledBackIsAccountedFor) {
  miss_second();
  evidence.truths[id].resolved[{1}] = false;
  EXPECT_THAT(check(), IsEmpty());
  // Of another one it excuses nothing.
  end.databases[1].accounts[1] = 99;
  EXPECT_THAT(check(), ElementsAre(HasSubstr("account 1 of db2"), HasSubstr("1 is missing from the bank")));
}

TEST_F(EndInvariants, AnOperatorWhoDecidedAsTheTransactionDidExcusesNothing) {
  miss_second();
  evidence.truths[id].resolved[{0}] = true;
  EXPECT_THAT(check(), Contains(HasSubstr("agreement")));
}

TEST_F(EndInvariants, ABranchThatAnOperatorCommittedOfAnAbortIsAccountedFor) {
  miss_second();
  evidence.truths[id].decided = false;
  evidence.truths[id].resolved[{0}] = true;
  EXPECT_THAT(check(), IsEmpty());
  evidence.truths[id].resolved = {{{1}, true}};
  EXPECT_THAT(check(), Contains(HasSubstr("agreement")));
}

TEST_F(EndInvariants, WhatARestoredDatabaseLacksIsAccountedFor) {
  miss_second();
  evidence.truths[id].lost.insert({1});
  EXPECT_THAT(check(), IsEmpty());
  evidence.truths[id].lost = {{0}};
  EXPECT_THAT(check(), Contains(HasSubstr("agreement")));
}

TEST_F(EndInvariants, ARequestThatNobodyAskedForIsSeen) {
  end.committed[{"nobody", {}}]["bank-sim001.1.2"] = {0};
  EXPECT_THAT(check(), Contains(HasSubstr("nobody ever asked for it")));
}

TEST_F(EndInvariants, TwoCommitsOfOneRequestAreSeen) {
  end.committed[request]["bank-sim001.1.2"] = {0, 1};
  end.databases = {{"db1", {{1, 90}}, {}}, {"db2", {{1, 110}}, {}}};
  EXPECT_THAT(check(), ElementsAre(HasSubstr("was committed 2 times")));
}

TEST_F(EndInvariants, ABalanceThatNoTransferMakesIsSeen) {
  end.databases = {{"db1", {{1, 90}}, {}}, {"db2", {{1, 110}}, {}}};
  EXPECT_THAT(check(), ElementsAre(HasSubstr("account 1 of db1 holds 90"), HasSubstr("account 1 of db2")));
}

// [T2] [T3]
TEST_F(EndInvariants, ATellingThatTheDatabasesDenyIsSeen) {
  ledger.tell_committed(request, "bank-sim001.1.2");
  EXPECT_THAT(check(), ElementsAre(HasSubstr("T2")));
  evidence.truths[*TransactionId::parse("bank-sim001.1.2")].decision_lost = true;
  EXPECT_THAT(check(), IsEmpty());
  ledger.tell_not_committed(request, id.text());
  EXPECT_THAT(check(), ElementsAre(HasSubstr("told not committed")));
}

TEST_F(EndInvariants, ACommitOfABarredRequestIsSeen) {
  ledger.tell_barred(request);
  EXPECT_THAT(check(), ElementsAre(HasSubstr("was barred, and is committed")));
  evidence.bars_lost.insert(request);
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(EndInvariants, WhatIsLeftIsNamed) {
  ledger.open({"cl2", {}}, {{0, 1, -1}, {1, 1, 1}});
  end.databases[1].prepared = {{id, {2}}};
  EXPECT_EQ(what_is_left(end), "liveness: 1 of 2 transfers have no end; bank-sim001.1.1 is in doubt in db2");
}

// [T6] What is on the disks, of a run that was in order.
class EndedRun : public testing::Test {
 protected:
  EndedRun() {
    auto calm = *Variation::read(
        "strikes=,lost=0,doubled=0,late=0,reset=0,full=0,database_breaks=0,mistakes=0,coordinators=0");
    simulation = std::make_unique<Simulation>(7, calm);
    EXPECT_THAT(simulation->run().broken, IsEmpty());
  }
  [[nodiscard]] Broken check() {
    Broken broken;
    check_logs(*simulation, broken);
    return broken;
  }
  std::unique_ptr<Simulation> simulation;
};

TEST_F(EndedRun, LogsThatAreInOrderBreakNothing) {
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(EndedRun, ALogThatCannotBeReadIsSeen) {
  for (auto* disk : {&simulation->coordinators().front()->disk(), &simulation->agents().front()->disk()}) {
    auto image = disk->image();
    for (auto& [path, bytes] : image)
      std::ranges::fill(bytes, std::byte{0x5a});
    disk->set_back(image);
  }
  EXPECT_THAT(check(),
              ElementsAre(HasSubstr("store: it cannot be read"), HasSubstr("journal of ag1: it cannot")));
}

}  // namespace
}  // namespace troth::sim
