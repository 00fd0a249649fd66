#include "coordinator/decision_store/record_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::coordinator::store {
namespace {

WriteNumber newer(WriteNumber a, WriteNumber b) {
  return std::max(a, b);
}

const TransactionId* transaction_of(const Choosable& record) {
  return std::visit(
      [](const auto& r) -> const TransactionId* {
        if constexpr (requires { r.transaction; })
          return &r.transaction;
        else
          return nullptr;
      },
      record);
}

const RequestKey* request_of(const Choosable& record) {
  if (const auto* commit = std::get_if<CommitRecord>(&record))
    return commit->request ? &*commit->request : nullptr;
  if (const auto* barred = std::get_if<BarredRecord>(&record)) return &barred->request;
  return nullptr;
}

bool is_open(const auto& transaction) {
  return !transaction.decision || !transaction.decision->ended;
}

}  // namespace

RecordTable::Reply RecordTable::apply(const Request& request, WriteNumber next) {
  CHECK(newest_ < next, "write {} was applied, and now comes {}", newest_.value, next.value);
  auto reply = std::visit(
      [&](const auto& r) -> Reply {
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, AcquireEpoch>) return acquire(r, next);
        if constexpr (std::is_same_v<R, Choose>) return choose(r, next);
        if constexpr (std::is_same_v<R, Lookup>) return lookup(r);
        if constexpr (std::is_same_v<R, List>) return list(r);
        if constexpr (std::is_same_v<R, End>) return end(r, next);
        if constexpr (std::is_same_v<R, RegisterResource>) return register_resource(r, next);
        if constexpr (std::is_same_v<R, RaiseFloors>) return raise_floors(r, next);
        if constexpr (std::is_same_v<R, Resolve>) return resolve(r, next);
      },
      request);
  if (!reply.append.empty()) newest_ = {next.value + reply.append.size() - 1};
  return reply;
}

// ---- epochs

RecordTable::Reply RecordTable::acquire(const AcquireEpoch& request, WriteNumber next) {
  const auto least = std::max(epoch_.number.value, request.above.value);
  if (least == UINT32_MAX)
    return {Refused{fail(ErrorCode::kOverloaded, Effect::kNone, "no epoch number is left").error()}, {}, {}};
  EpochRecord record{{{least + 1}, request.nonce}, request.now, {}};
  if (request.above.value > 0) {
    record.new_reign = record.epoch.number;
  } else {
    record.new_reign = new_reign();
  }
  put_epoch(record, next);
  EpochAcquired acquired{record.epoch, floors_, {}, {}, counts_, record.new_reign};
  for (const auto& [number, reign] : reigns_)
    acquired.history.push_back(reign.record);
  for (const auto& [name, resource] : resources_)
    acquired.resources.push_back(resource.record);
  return {std::move(acquired), {record}, next};
}

EpochNumber RecordTable::new_reign() const {
  return reigns_.empty() ? EpochNumber{} : reigns_.rbegin()->second.record.new_reign;
}

// [S1] "Not by this call" is all that a fenced answer says.
std::optional<RecordTable::Reply> RecordTable::fence(EpochNumber epoch) const {
  if (epoch == epoch_.number) return std::nullopt;
  if (epoch < epoch_.number) {
    const auto reign = reigns_.find(epoch_.number);
    return Reply{Fenced{epoch_.number}, {}, reign == reigns_.end() ? WriteNumber{} : reign->second.written};
  }
  return Reply{Unknown{fail(ErrorCode::kSetBack, Effect::kUnknown,
                            fmt::format("epoch {} was never acquired here, the newest is {}: the store was "
                                        "set back; see `troth cluster new-reign`",
                                        epoch.value, epoch_.number.value))
                           .error()},
               {},
               {}};
}

void RecordTable::put_epoch(const EpochRecord& record, WriteNumber written) {
  reigns_[record.epoch.number] = {record, written};
  if (record.epoch.number >= epoch_.number) epoch_ = record.epoch;
  drop_past_epochs();
}

void RecordTable::drop_past_epochs() {
  while (reigns_.size() > 1) {
    const auto oldest = reigns_.begin();
    const auto following = std::next(oldest);
    if (Position{following->first, Sequence{0}} > floors_.transactions) return;
    reigns_.erase(oldest);
  }
}

// ---- choose

RecordTable::Reply RecordTable::choose(const Choose& request, WriteNumber next) {
  if (auto fenced = fence(request.epoch)) return std::move(*fenced);
  if (auto existing = taken(request.record)) return std::move(*existing);
  if (const auto* barred = std::get_if<BarredRecord>(&request.record);
      barred != nullptr && barred->request.id.unix_ms() < floors_.request_ms)
    return {Refused{fail(ErrorCode::kRequestIdTooOld, Effect::kUnknown,
                         "the request is below the request floor: a commit of it may be forgotten")
                        .error()},
            {},
            newest_};
  put(request.record, next);
  return {Won{}, {std::visit([](const auto& r) { return LogRecord{r}; }, request.record)}, next};
}

// [S2] Every key of the record is free, or nothing is written (attack 41).
std::optional<RecordTable::Reply> RecordTable::taken(const Choosable& record) const {
  if (auto reply = transaction_taken(record)) return reply;
  if (const auto* request = request_of(record)) return request_taken(*request);
  return std::nullopt;
}

std::optional<RecordTable::Reply> RecordTable::transaction_taken(const Choosable& record) const {
  const auto* id = transaction_of(record);
  if (id == nullptr) return std::nullopt;
  const auto at = transactions_.find(position_of(*id));
  if (at == transactions_.end()) return std::nullopt;
  const auto& held = at->second;
  // A decision stands against everything, also against a pre-commit that comes late.
  if (held.decision) return Reply{Existing{TakenKey::kDecision, *held.decision}, {}, held.written};
  if (std::holds_alternative<PreCommitRecord>(record))
    return Reply{Existing{TakenKey::kPreCommit, *held.pre_commit}, {}, held.written};
  return std::nullopt;
}

std::optional<RecordTable::Reply> RecordTable::request_taken(const RequestKey& key) const {
  if (const auto at = committed_requests_.find(key); at != committed_requests_.end()) {
    const auto& holder = transactions_.at(at->second);
    return Reply{Existing{TakenKey::kRequest, *holder.decision}, {}, holder.written};
  }
  if (const auto at = barred_.find(key); at != barred_.end())
    return Reply{Existing{TakenKey::kRequest, at->second.record}, {}, at->second.written};
  return std::nullopt;
}

void RecordTable::put(const Choosable& record, WriteNumber written) {
  if (const auto* barred = std::get_if<BarredRecord>(&record)) {
    if (barred_.insert_or_assign(barred->request, Barred{*barred, written}).second) ++counts_.barred;
    return;
  }
  const auto position = position_of(*transaction_of(record));
  const auto [at, fresh] = transactions_.try_emplace(position);
  auto& held = at->second;
  if (fresh) {
    ++counts_.open;
    held.kept_since = written;
  }
  held.written = newer(held.written, written);
  if (const auto* pre_commit = std::get_if<PreCommitRecord>(&record))
    held.pre_commit = std::make_unique<const PreCommitRecord>(*pre_commit);
  if (const auto* abort = std::get_if<AbortRecord>(&record)) held.decision = StoredDecision{*abort, {}, {}};
  if (const auto* commit = std::get_if<CommitRecord>(&record)) {
    held.decision = StoredDecision{*commit, {}, {}};
    if (commit->request) committed_requests_.emplace(*commit->request, position);
  }
}

// ---- reading

const RecordTable::Transaction* RecordTable::find(const TransactionId& id) const {
  const auto at = transactions_.find(position_of(id));
  if (at == transactions_.end()) return nullptr;
  const auto& held = at->second;
  const auto& known = held.decision ? held.decision->transaction() : held.pre_commit->transaction;
  return known == id ? &held : nullptr;
}

RecordTable::Reply RecordTable::lookup(const Lookup& request) const {
  Found found{std::nullopt, std::nullopt, std::nullopt, {epoch_, newest_, floors_, new_reign()}};
  WriteNumber depends_on;
  const Transaction* held = nullptr;
  if (const auto* id = std::get_if<TransactionId>(&request.key)) {
    held = find(*id);
  } else {
    const auto& key = std::get<RequestKey>(request.key);
    const auto committed = committed_requests_.find(key);
    if (committed != committed_requests_.end()) held = &transactions_.at(committed->second);
    if (const auto barred = barred_.find(key); barred != barred_.end()) {
      found.barred = barred->second.record;
      depends_on = barred->second.written;
    }
  }
  if (held != nullptr) {
    found.decision = held->decision;
    if (held->pre_commit) found.pre_commit = *held->pre_commit;
    depends_on = newer(depends_on, held->written);
  } else {
    // Absence speaks of the prefix itself: of its floors and of its newest epoch [S7].
    depends_on = newer(depends_on, floors_written_);
    if (const auto reign = reigns_.find(epoch_.number); reign != reigns_.end())
      depends_on = newer(depends_on, reign->second.written);
  }
  return {std::move(found), {}, depends_on};
}

RecordTable::Reply RecordTable::list(const List& request) const {
  Listed listed;
  WriteNumber depends_on;
  const bool want_open = request.listing == Listing::kOpen;
  auto at = request.cursor ? transactions_.lower_bound(*request.cursor) : transactions_.begin();
  for (std::uint32_t taken = 0; at != transactions_.end(); ++at) {
    const auto& held = at->second;
    if (is_open(held) != want_open) continue;
    if (taken++ == request.limit) {
      listed.next = at->first;
      break;
    }
    depends_on = newer(depends_on, held.written);
    if (held.decision)
      listed.decisions.push_back(*held.decision);
    else
      listed.undecided.push_back(*held.pre_commit);
  }
  return {std::move(listed), {}, depends_on};
}

// ---- ending and forgetting

RecordTable::Reply RecordTable::end(const End& request, WriteNumber next) {
  if (auto fenced = fence(request.epoch)) return std::move(*fenced);
  Reply reply{EndRecorded{}, {}, {}};
  for (const auto& ended : request.ended) {
    const auto* held = find(ended.transaction);
    // Already forgotten, or never decided: there is nothing to end.
    if (held == nullptr || !held->decision) continue;
    if (held->decision->ended) {
      reply.depends_on = newer(reply.depends_on, held->written);
      continue;
    }
    const WriteNumber written{next.value + reply.append.size()};
    put_ended(ended, written);
    reply.append.push_back(ended);
    reply.depends_on = written;
  }
  std::get<EndRecorded>(reply.answer).counts = counts_;
  return reply;
}

bool RecordTable::put_ended(const EndedRecord& record, WriteNumber written) {
  const auto at = transactions_.find(position_of(record.transaction));
  if (at == transactions_.end() || !at->second.decision) return false;
  auto& held = at->second;
  held.written = newer(held.written, written);
  if (held.decision->ended) return true;
  held.decision->ended = record;
  --counts_.open;
  ++counts_.ended;
  return true;
}

RecordTable::Reply RecordTable::raise_floors(const RaiseFloors& request, WriteNumber next) {
  if (auto fenced = fence(request.epoch)) return std::move(*fenced);
  const Floors raised{std::max(floors_.transactions, request.floors.transactions),
                      std::max(floors_.request_ms, request.floors.request_ms)};
  if (raised == floors_) return {FloorsRaised{floors_, counts_}, {}, floors_written_};
  put_floors(raised, next);
  return {FloorsRaised{floors_, counts_}, {raised}, next};
}

// [S9] The caller appends the floor in the same step; what is dropped here is still in the log before it.
void RecordTable::put_floors(const Floors& floors, WriteNumber written) {
  floors_.transactions = std::max(floors_.transactions, floors.transactions);
  floors_.request_ms = std::max(floors_.request_ms, floors.request_ms);
  floors_written_ = newer(floors_written_, written);
  drop_below_floors();
  drop_past_epochs();
}

// [S8] The floor passes what is open; outcome and request key leave together, below both floors (attacks 7,
// 43).
void RecordTable::drop_below_floors() {
  const auto end = transactions_.lower_bound(floors_.transactions);
  for (auto at = transactions_.begin(); at != end;) {
    const auto& held = at->second;
    const auto* commit = held.decision ? held.decision->commit() : nullptr;
    const bool request_kept =
        commit != nullptr && commit->request && commit->request->id.unix_ms() >= floors_.request_ms;
    if (is_open(held) || request_kept) {
      ++at;
      continue;
    }
    if (commit != nullptr && commit->request) committed_requests_.erase(*commit->request);
    --counts_.ended;
    at = transactions_.erase(at);
  }
  while (!barred_.empty() && barred_.begin()->first.id.unix_ms() < floors_.request_ms) {
    barred_.erase(barred_.begin());
    --counts_.barred;
  }
}

// ---- resources and resolutions

RecordTable::Reply RecordTable::register_resource(const RegisterResource& request, WriteNumber next) {
  if (auto fenced = fence(request.epoch)) return std::move(*fenced);
  auto record = request.resource;
  const auto known = resources_.find(record.name);
  if (known != resources_.end()) {
    record.number = known->second.record.number;
    if (record == known->second.record) return {ResourceRegistered{record}, {}, known->second.written};
  } else {
    if (last_resource_number_ == kMaxResourceNumber)
      return {Refused{fail(ErrorCode::kOverloaded, Effect::kNone,
                           fmt::format("resource '{}' gets no number: all {} were given, and none is ever "
                                       "reused",
                                       record.name.value, kMaxResourceNumber))
                          .error()},
              {},
              {}};
    record.number = {last_resource_number_ + 1};
  }
  put_resource(record, next);
  return {ResourceRegistered{record}, {record}, next};
}

void RecordTable::put_resource(const ResourceRecord& record, WriteNumber written) {
  resources_[record.name] = {record, written};
  last_resource_number_ = std::max(last_resource_number_, record.number.value);
}

RecordTable::Reply RecordTable::resolve(const Resolve& request, WriteNumber next) {
  if (auto fenced = fence(request.epoch)) return std::move(*fenced);
  const auto at = transactions_.find(position_of(request.resolution.transaction));
  if (at != transactions_.end() && at->second.decision) {
    // The same one once more, after an answer that was lost: a start takes copies as one, too.
    auto& resolutions = at->second.decision->resolutions;
    if (std::ranges::find(resolutions, request.resolution) != resolutions.end())
      return {Resolved{}, {}, at->second.written};
    resolutions.push_back(request.resolution);
    at->second.written = next;
  }
  return {Resolved{}, {request.resolution}, next};
}

}  // namespace troth::coordinator::store
