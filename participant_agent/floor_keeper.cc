#include "participant_agent/floor_keeper.h"

#include <algorithm>

namespace troth::agent {

std::optional<Floors> FloorKeeper::raise_to(const Floors& wanted) {
  if (!std::holds_alternative<Idle>(state_)) return std::nullopt;
  const Floors higher{std::max(raised_.position, wanted.position),
                      std::max(raised_.request_ms, wanted.request_ms)};
  if (higher == raised_) return std::nullopt;
  state_ = Raising{};
  return higher;
}

void FloorKeeper::committed(const Floors& floors, std::set<BranchId> live) {
  if (!std::holds_alternative<Raising>(state_)) return;
  raised_ = floors;
  state_ = Waiting{std::move(live)};
}

void FloorKeeper::branch_ended(const BranchId& id) {
  if (auto* waiting = std::get_if<Waiting>(&state_)) waiting->older.erase(id);
}

void FloorKeeper::interrupted() {
  if (std::holds_alternative<Raising>(state_)) state_ = Idle{};
  if (std::holds_alternative<Deleting>(state_)) state_ = Waiting{};
}

std::optional<Floors> FloorKeeper::delete_below() {
  const auto* waiting = std::get_if<Waiting>(&state_);
  if (waiting == nullptr || !waiting->older.empty()) return std::nullopt;
  state_ = Deleting{};
  return raised_;
}

void FloorKeeper::deleted(bool last) {
  if (!std::holds_alternative<Deleting>(state_)) return;
  if (last) {
    state_ = Idle{};
  } else {
    state_ = Waiting{};
  }
}

}  // namespace troth::agent
