// Attack 50: on InnoDB an insert that waited for another's key keeps a lock on the gap that the other leaves, and stops
// every insert into it.
#include "tests/sim/model/behaviour/resource.h"

namespace troth::sim {
namespace {

using namespace agent;
using namespace std::chrono_literals;

const RequestKey kRequest{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
const RequestKey kNext{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8058")};

class Gaps : public BehaviourTest {
 protected:
  BranchWork work_of(const RequestKey& request, std::int64_t account) {
    BranchWork work = resource().add(account, 5);
    work.start.request = request;
    work.start.lock_timeout = 300ms;
    return work;
  }
  // An open branch whose marker waited for that of a branch that was rolled back then, and was not begun again.
  BranchWork open_behind_a_wait(DatabaseConnection& waiter, Isolation isolation = Isolation::kUnset) {
    const Connection holder = resource().connect();
    const BranchWork held = work_of(kRequest, 1);
    EXPECT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
    BranchWork open = work_of(kRequest, 2);
    open.start.isolation = isolation;
    open.start.lock_timeout = 60s;
    const AddToAccount word{.amount = 5, .id = 2};
    auto waiting = resource().start(waiter, RunStatement{open, resource().open_statement(word, 1, true)});
    resource().wait_until_blocked(waiter.session_identity());
    EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
    EXPECT_TRUE(ended_as<StatementDone>(Resource::get<WorkResult>(waiting)));
    return open;
  }
  // May the next request's marker be inserted?
  bool next_goes() {
    const Connection third = resource().connect();
    const BranchWork next = work_of(kNext, 3);
    const WorkResult result = third->run_branch(next);
    if (!std::holds_alternative<Prepared>(result.outcome)) {
      EXPECT_EQ(code_of(result), ErrorCode::kConflict);
      return false;
    }
    EXPECT_TRUE(third->finish_prepared(next.start.id, PreparedEnding::kRollBack).has_value());
    return true;
  }
};
TROTH_BEHAVES(Gaps);

TEST_P(Gaps, MarkerThatWaitedStopsTheNextUntilItsPrepare) {
  const Connection waiter = resource().connect({.patience = 60s, .had_to_wait = 60s});
  const BranchWork open = open_behind_a_wait(*waiter);
  EXPECT_EQ(next_goes(), resource().is_postgres());
  ASSERT_TRUE(ended_as<Prepared>(waiter->prepare_open(open, true, false)));
  EXPECT_TRUE(next_goes());
  EXPECT_TRUE(waiter->finish_prepared(open.start.id, PreparedEnding::kCommit).has_value());
}

// Under REPEATABLE READ MySQL keeps it while the branch is prepared, too.
TEST_P(Gaps, RepeatableReadKeepsItBeyondThePrepareOnMysql) {
  const Connection waiter = resource().connect({.patience = 60s, .had_to_wait = 60s});
  const BranchWork open = open_behind_a_wait(*waiter, Isolation::kRepeatableRead);
  EXPECT_EQ(next_goes(), resource().is_postgres());
  ASSERT_TRUE(ended_as<Prepared>(waiter->prepare_open(open, true, false)));
  EXPECT_EQ(next_goes(), resource().kind() != DatabaseKind::kMysql);
  EXPECT_TRUE(waiter->finish_prepared(open.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_TRUE(next_goes());
}

// What the agent does about it: a begin that took so long is begun again, without a gap to inherit.
TEST_P(Gaps, BranchThatIsBegunAgainStopsNobody) {
  const Connection holder = resource().connect();
  // Any begin is taken for one that waited, however soon the holder lets go.
  const Connection waiter = resource().connect({.patience = 60s, .had_to_wait = 0s});
  const BranchWork held = work_of(kRequest, 1);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  BranchWork waits = work_of(kRequest, 2);
  waits.start.isolation = Isolation::kRepeatableRead;
  waits.start.lock_timeout = 60s;
  auto waiting = resource().start(*waiter, RunBranch{waits});
  resource().wait_until_blocked(waiter->session_identity());
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
  ASSERT_TRUE(ended_as<Prepared>(Resource::get<WorkResult>(waiting)));
  EXPECT_TRUE(next_goes());
  EXPECT_TRUE(waiter->finish_prepared(waits.start.id, PreparedEnding::kCommit).has_value());
}

// Two that waited for one key keep each other's gap: InnoDB ends one of them by a deadlock. Postgres lets one go on, and
// the other waits for that one.
TEST_P(Gaps, TwoThatWaitedEndInADeadlock) {
  const Connection holder = resource().connect();
  const Connection one = resource().connect({.patience = 60s, .had_to_wait = 60s});
  const Connection two = resource().connect({.patience = 60s, .had_to_wait = 60s});
  const BranchWork held = work_of(kRequest, 1);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  BranchWork first = work_of(kRequest, 2);
  BranchWork second = work_of(kRequest, 3);
  first.start.lock_timeout = second.start.lock_timeout = 5s;
  auto first_waits = resource().start(*one, RunBranch{first});
  auto second_waits = resource().start(*two, RunBranch{second});
  resource().wait_until_blocked(one->session_identity());
  resource().wait_until_blocked(two->session_identity());
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
  const auto first_result = Resource::get<WorkResult>(first_waits);
  const auto second_result = Resource::get<WorkResult>(second_waits);
  const bool first_prepared = std::holds_alternative<Prepared>(first_result.outcome);
  const bool second_prepared = std::holds_alternative<Prepared>(second_result.outcome);
  EXPECT_NE(first_prepared, second_prepared) << describe(first_result) << "; " << describe(second_result);
  const WorkResult& other = first_prepared ? second_result : first_result;
  EXPECT_EQ(code_of(other), ErrorCode::kConflict);
  const std::string sqlstate = std::get<Refused>(other.outcome).error.sqlstate;
  EXPECT_EQ(sqlstate, resource().is_postgres() ? "55P03" : "40001");
  DatabaseConnection& session = first_prepared ? *one : *two;
  EXPECT_TRUE(session.finish_prepared((first_prepared ? first : second).start.id, PreparedEnding::kCommit)
                  .has_value());
}

}  // namespace
}  // namespace troth::sim
