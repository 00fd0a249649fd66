// A connection that is cut inside the server's answers to a branch in one trip: what may be said of the branch.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>

#include "tests/unit/participant_agent_runtime/cutting_relay.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class CutConnectionTest : public DatabaseTest {
 protected:
  // [T11] No yes is told of a branch that is not prepared, and no "effect none" at all.
  void expect_nothing_false_wherever_it_is_cut(
      const std::function<WorkResult(DatabaseConnection&, const BranchWork&)>& run_branch);
};
TROTH_FOR_EVERY_DATABASE(CutConnectionTest);

void CutConnectionTest::expect_nothing_false_wherever_it_is_cut(
    const std::function<WorkResult(DatabaseConnection&, const BranchWork&)>& run_branch) {
  const auto control = resource().connect();
  // Postgres' last answer has six bytes, which must not be stepped over.
  const std::int64_t stride = resource().is_postgres() ? 5 : 97;
  bool all_came = false;
  for (std::int64_t bytes = 0; !all_came; bytes += stride) {
    ConnectOptions through = resource().options();
    CuttingRelay relay(through.host, through.port);
    through.port = relay.port();
    const auto session = resource().connect(through);
    for (int i = 0; i < 2; ++i) {
      const BranchWork warm = resource().transfer(1, 1);
      ASSERT_TRUE(ended_as<Prepared>(session->run_branch(warm)));
      ASSERT_TRUE(session->finish_prepared(warm.start.id, PreparedEnding::kRollBack).has_value());
      ASSERT_TRUE(session->clean_up());
    }
    const BranchWork work = resource().transfer(1, 5);
    relay.cut_after(bytes);
    const WorkResult result = run_branch(*session, work);
    const bool clean = session->clean_up();
    all_came = relay.left() > 0;
    const auto session_went = [&] {
      const auto ended = control->end_session(session->session_identity());
      return ended.has_value() && *ended;
    };
    ASSERT_TRUE(holds_within(10s, session_went));
    const Answer<PreparedList> listed = control->list_prepared();
    ASSERT_TRUE(listed.has_value());
    // The list is the whole server's, with other tests' branches.
    const bool stands =
        std::ranges::find(listed->branches, work.start.id, &PreparedRow::branch) != listed->branches.end();
    if (const auto* yes = std::get_if<Prepared>(&result.outcome); yes != nullptr) {
      EXPECT_TRUE(stands) << "cut after " << bytes;
      EXPECT_EQ(clean, all_came && !yes->tied) << "cut after " << bytes;
    } else {
      ASSERT_TRUE(ended_as<Lost>(result)) << "cut after " << bytes;
      const Lost& lost = std::get<Lost>(result.outcome);
      // A begin that seemed to wait is taken back, and begun again step by step: then the end was not sent.
      EXPECT_TRUE(lost.ending_sent || !stands) << "cut after " << bytes << ": " << lost.error.message;
      EXPECT_FALSE(clean);
    }
    if (stands) {
      ASSERT_TRUE(control->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
    }
  }
}

TEST_P(CutConnectionTest, TellsNothingFalseWhereverItIsCut) {
  expect_nothing_false_wherever_it_is_cut(
      [](DatabaseConnection& session, const BranchWork& work) { return session.run_branch(work); });
}

// As the loop does it.
TEST_P(CutConnectionTest, TellsNothingFalseWhereverACarriedOneIsCut) {
  expect_nothing_false_wherever_it_is_cut([](DatabaseConnection& session, const BranchWork& work) {
    EXPECT_TRUE(session.start_branch(work));
    while (session.arrived() == Arrival::kMore) {
      pollfd input{.fd = *session.descriptor(), .events = POLLIN, .revents = 0};
      if (::poll(&input, 1, 10'000) != 1) {
        ADD_FAILURE() << "neither an answer nor the end of the connection came";
        break;
      }
    }
    return session.run_branch(work);
  });
}

// No branch ever was on a session that could not be opened.
TEST_P(CutConnectionTest, SessionThatIsCutWhileItIsOpenedHasNoEffect) {
  const std::int64_t stride = 61;
  int cut = 0;
  for (std::int64_t bytes = 0;; bytes += stride) {
    ConnectOptions through = resource().options();
    CuttingRelay relay(through.host, through.port);
    through.port = relay.port();
    relay.cut_after(bytes);
    const auto opened = connect_to(GetParam(), through);
    if (opened.has_value() && relay.left() > 0) break;
    if (opened.has_value()) continue;
    ++cut;
    EXPECT_EQ(opened.error().effect, Effect::kNone)
        << "cut after " << bytes << ": " << opened.error().message;
  }
  EXPECT_GT(cut, 5);
}

}  // namespace
}  // namespace troth::agent
