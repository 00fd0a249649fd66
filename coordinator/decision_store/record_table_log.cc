// The two ways in which a record table meets its log: replay at the start, and copying forward what is live
// so that old segments can go.
#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/decision_store/record_table.h"

namespace troth::coordinator::store {
namespace {

std::unexpected<Error> contradiction(const std::string& what) {
  return fail(ErrorCode::kCorrupt, Effect::kNone,
              fmt::format("the decision log contradicts itself: {}. Do not delete it: look with `troth log "
                          "dump`, and restore the directory from a copy",
                          what));
}

}  // namespace

// ---- replay

Status RecordTable::restore(const LogRecord& record, WriteNumber written) {
  newest_ = std::max(newest_, written);
  return std::visit(
      [&](const auto& r) -> Status {
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, EpochRecord>) {
          const auto known = reigns_.find(r.epoch.number);
          if (known != reigns_.end() && known->second.record != r)
            return contradiction(fmt::format("epoch {} was acquired twice", r.epoch.number.value));
          put_epoch(r, written);
          return {};
        } else if constexpr (std::is_same_v<R, ResourceRecord>) {
          const auto known = resources_.find(r.name);
          if (known != resources_.end() && known->second.record.number != r.number)
            return contradiction(fmt::format("resource '{}' has the numbers {} and {}", r.name.value,
                                             known->second.record.number.value, r.number.value));
          put_resource(r, written);
          return {};
        } else if constexpr (std::is_same_v<R, Floors>) {
          put_floors(r, written);
          return {};
        } else if constexpr (std::is_same_v<R, EndedRecord>) {
          // The decision's first writing may be gone, after its live part was copied behind this: with its end once more.
          if (!put_ended(r, written)) ended_without_record_[position_of(r.transaction)] = r;
          return {};
        } else if constexpr (std::is_same_v<R, ResolutionRecord>) {
          const auto at = transactions_.find(position_of(r.transaction));
          if (at == transactions_.end() || !at->second.decision) return {};
          auto& resolutions = at->second.decision->resolutions;
          if (std::ranges::find(resolutions, r) == resolutions.end()) resolutions.push_back(r);
          at->second.written = std::max(at->second.written, written);
          return {};
        } else {
          return restore_choosable(r, written);
        }
      },
      record);
}

Status RecordTable::restore_choosable(const Choosable& record, WriteNumber written) {
  if (const auto* barred = std::get_if<BarredRecord>(&record)) {
    if (committed_requests_.contains(barred->request))
      return contradiction(fmt::format("request {} is committed and barred", barred->request.id.text()));
    put(record, written);
    return {};
  }
  const auto& id = std::visit(
      [](const auto& r) -> const TransactionId& {
        if constexpr (requires { r.transaction; }) return r.transaction;
        CHECK(false, "a barred record has no transaction");
      },
      record);
  const auto position = position_of(id);
  if (const auto at = transactions_.find(position); at != transactions_.end() && at->second.decision) {
    // A copy of what stands; or a copy of the pre-commit before it, whose first writing was cut: none is chosen behind a
    // decision.
    const auto same = [&](const auto& r) {
      if constexpr (std::is_same_v<std::decay_t<decltype(r)>, BarredRecord>)
        return false;
      else if constexpr (std::is_same_v<std::decay_t<decltype(r)>, PreCommitRecord>)
        return true;
      else
        return at->second.decision->decision == decltype(at->second.decision->decision){r};
    };
    if (!std::visit(same, record))
      return contradiction(fmt::format("transaction {} has two decisions", id.text()));
    if (const auto* pre_commit = std::get_if<PreCommitRecord>(&record); pre_commit && !at->second.pre_commit)
      at->second.pre_commit = std::make_unique<const PreCommitRecord>(*pre_commit);
    at->second.written = std::max(at->second.written, written);
    return {};
  }
  // [S2] One holder for each request key, read back as it was written (attack 41).
  if (const auto* commit = std::get_if<CommitRecord>(&record); commit != nullptr && commit->request) {
    if (committed_requests_.contains(*commit->request) || barred_.contains(*commit->request))
      return contradiction(
          fmt::format("request {} has two holders, one of them {}", commit->request->id.text(), id.text()));
  }
  put(record, written);
  // What was ended before is not this: it comes with its own end, or was forgotten and is chosen anew.
  ended_without_record_.erase(position);
  return {};
}

Status RecordTable::finish_restore() {
  for (const auto& [position, ended] : ended_without_record_) {
    if (position >= floors_.transactions)
      return contradiction(fmt::format("{} is ended, its decision is missing, and the floor is below it",
                                       ended.transaction.text()));
  }
  ended_without_record_.clear();
  return {};
}

// ---- cleaning

std::vector<LogRecord> RecordTable::copy_forward(CopyCursor& cursor, WriteNumber cut, WriteNumber next,
                                                 std::size_t visits) {
  std::vector<LogRecord> copies;
  const auto copy = [&](WriteNumber& written, LogRecord record) {
    written = {next.value + copies.size()};
    copies.push_back(std::move(record));
  };
  if (cursor.stage == CopyCursor::Stage::kStanding) {
    for (auto& [number, reign] : reigns_)
      if (reign.written < cut) copy(reign.written, reign.record);
    for (auto& [name, resource] : resources_)
      if (resource.written < cut) copy(resource.written, resource.record);
    if (floors_ != Floors{} && floors_written_ < cut) copy(floors_written_, floors_);
    cursor.stage = CopyCursor::Stage::kTransactions;
  }
  if (cursor.stage == CopyCursor::Stage::kTransactions) {
    auto at = cursor.transaction ? transactions_.lower_bound(*cursor.transaction) : transactions_.begin();
    for (; at != transactions_.end() && visits > 0; ++at, --visits) {
      auto& held = at->second;
      if (held.kept_since >= cut) continue;
      held.kept_since = {next.value + copies.size()};
      if (held.pre_commit) copy(held.written, *held.pre_commit);
      if (!held.decision) continue;
      std::visit([&](const auto& decision) { copy(held.written, decision); }, held.decision->decision);
      for (const auto& resolution : held.decision->resolutions)
        copy(held.written, resolution);
      if (held.decision->ended) copy(held.written, *held.decision->ended);
    }
    if (at == transactions_.end())
      cursor.stage = CopyCursor::Stage::kBarred;
    else
      cursor.transaction = at->first;
  }
  if (cursor.stage == CopyCursor::Stage::kBarred) {
    auto at = cursor.barred ? barred_.lower_bound(*cursor.barred) : barred_.begin();
    for (; at != barred_.end() && visits > 0; ++at, --visits)
      if (at->second.written < cut) copy(at->second.written, at->second.record);
    if (at == barred_.end())
      cursor.stage = CopyCursor::Stage::kDone;
    else
      cursor.barred = at->first;
  }
  if (!copies.empty()) newest_ = {next.value + copies.size() - 1};
  return copies;
}

}  // namespace troth::coordinator::store
