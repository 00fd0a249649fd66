// coordinator/callers.h
//
// The calls that wait for one transaction: its first, and retries of the same request that joined it. Each
// has its own deadline and its own idea of when it is done.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/time.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

struct Caller {
  CallId call;
  Acknowledgement acknowledgement = Acknowledgement::kApplied;
  Instant deadline;
};

// An effect of both commit protocols.
struct AnswerCall {
  CallId call;
  Answer answer;
  bool operator==(const AnswerCall&) const = default;
};

class Callers {
 public:
  explicit Callers(std::vector<Caller> waiting = {}) : waiting_(std::move(waiting)) {}

  void add(Caller caller) { waiting_.push_back(caller); }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

  [[nodiscard]] std::optional<Instant> earliest_deadline() const {
    std::optional<Instant> earliest;
    for (const auto& caller : waiting_)
      earliest = earliest ? std::min(*earliest, caller.deadline) : caller.deadline;
    return earliest;
  }

  // Those whom `wanted` picks, in the order of joining; they wait no longer.
  [[nodiscard]] std::vector<CallId> take(auto wanted) {
    std::vector<CallId> taken;
    std::erase_if(waiting_, [&](const Caller& caller) {
      if (!wanted(caller)) return false;
      taken.push_back(caller.call);
      return true;
    });
    return taken;
  }
  [[nodiscard]] std::vector<CallId> take_all() {
    return take([](const Caller&) { return true; });
  }
  [[nodiscard]] std::vector<CallId> take_overdue(Instant now) {
    return take([&](const Caller& caller) { return caller.deadline <= now; });
  }

 private:
  std::vector<Caller> waiting_;
};

}  // namespace troth::coordinator
