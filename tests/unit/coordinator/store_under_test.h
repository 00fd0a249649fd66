// tests/unit/coordinator/store_under_test.h
//
// An engine of the decision store as a test asks it.
#pragma once

#include <optional>

#include "coordinator/decision_store/decision_store.h"

namespace troth::coordinator::store {

// One engine with everything that it stands on, so that it can be crashed and started again.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  // Hands a request in. Its answer may come at once, or when `settle` is called, or never (after a crash).
  virtual Ticket ask(Request request) = 0;
  // Everything that was asked becomes durable and is answered.
  virtual void settle() = 0;
  // As far as it is given by now: while nothing settles, only to what needs no write.
  [[nodiscard]] virtual std::optional<StoreAnswer> answer(Ticket ticket) = 0;
  // The process ends and starts again from what the disk holds: everything durable, and of the writes that were
  // under way the first `surviving`, in their order. The system's own disk keeps them all, and a log that syncs
  // several at once keeps those together. Answers that were not given never come.
  virtual void crash(std::size_t surviving) = 0;
};

}  // namespace troth::coordinator::store
