// A pool's completions as futures.
#pragma once

#include <future>
#include <memory>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/session_pool.h"

namespace troth::agent {

struct BranchAnswer {
  WorkResult result;  // Refused with the pool's error where the pool refused the task
  BackendFate fate = BackendFate::kAlive;
};

inline std::future<BranchAnswer> submit_branch(SessionPool& pool, const BranchWork& work, Duration limit) {
  auto promise = std::make_shared<std::promise<BranchAnswer>>();
  pool.submit<WorkResult>(
      boot_now() + limit, work.start.id,
      [work](DatabaseConnection& connection) -> Result<WorkResult> { return connection.run_branch(work); },
      [promise](Result<WorkResult> result, BackendFate fate) {
        if (result.has_value()) {
          promise->set_value({std::move(*result), fate});
        } else {
          promise->set_value({{.outcome = Refused{result.error()}, .results = {}, .session = {}}, fate});
        }
      });
  return promise->get_future();
}

inline std::future<Answer<void>> submit_end(SessionPool& pool, const BranchId& branch,
                                            PreparedEnding ending) {
  auto promise = std::make_shared<std::promise<Answer<void>>>();
  pool.submit<Answer<void>>(
      boot_now() + std::chrono::seconds(10), branch,
      [=](DatabaseConnection& connection) -> Result<Answer<void>> {
        return connection.finish_prepared(branch, ending);
      },
      [promise](Result<Answer<void>> result, BackendFate) {
        if (result.has_value()) {
          promise->set_value(std::move(*result));
        } else {
          promise->set_value(std::unexpected(ClassifiedError{Meaning::kServerBusy, result.error()}));
        }
      });
  return promise->get_future();
}

}  // namespace troth::agent
