#include "tests/sim/model/rows.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/literals.h"

namespace troth::sim {

using namespace agent;

RowKey account_key(std::int64_t id) {
  return {Table::kAccounts, fmt::format("{:+020}", id)};
}

RowKey marker_key(const BranchId& branch) {
  const TransactionId& id = branch.transaction;
  return {Table::kBranch, fmt::format("{:010}.{:012}.{:010}.{}", id.epoch.value, id.sequence.value,
                                      branch.branch.value, id.text())};
}

RowKey request_barrier_key(const RequestKey& request) {
  return {Table::kBranch,
          fmt::format("{:010}.{:012}.{:010}.{}", 0, request.id.unix_ms(), 1, request_barrier_name(request))};
}

RowKey request_key(const RequestKey& request) {
  return {Table::kRequest,
          fmt::format("{}.{}", hexadecimal(request.client), hexadecimal(octets_of(request.id)))};
}

RowKey owner_key() {
  return {Table::kOwner, ""};
}

RowKey floor_key(const ClusterId& cluster) {
  return {Table::kFloor, cluster.value};
}

bool Rows::Row::is_there() const {
  return uncommitted.has_value() || (!versions.empty() && versions.back().value.has_value());
}

const RowValue* Rows::see(const RowKey& key, CommitNumber snapshot, TransactionNumber own) const {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return nullptr;
  const Row& row = found->second;
  if (row.uncommitted.has_value() && row.uncommitted->writer == own) {
    return row.uncommitted->value.has_value() ? &*row.uncommitted->value : nullptr;
  }
  for (auto version = row.versions.rbegin(); version != row.versions.rend(); ++version) {
    if (version->at <= snapshot) return version->value.has_value() ? &*version->value : nullptr;
  }
  return nullptr;
}

const RowValue* Rows::newest(const RowKey& key, TransactionNumber own) const {
  return see(key, CommitNumber{UINT64_MAX}, own);
}

CommitNumber Rows::last_commit_of(const RowKey& key) const {
  const auto found = rows_.find(key);
  if (found == rows_.end() || found->second.versions.empty()) return {};
  return found->second.versions.back().at;
}

bool Rows::has_uncommitted(const RowKey& key) const {
  const auto found = rows_.find(key);
  return found != rows_.end() && found->second.uncommitted.has_value();
}

void Rows::write(const RowKey& key, std::optional<RowValue> value, TransactionNumber writer) {
  Row& row = rows_[key];
  CHECK(!row.uncommitted.has_value() || row.uncommitted->writer == writer,
        "{} writes {}, which {} has written", writer.value, key.key, row.uncommitted->writer.value);
  row.uncommitted = Uncommitted{writer, std::move(value)};
  written_[writer].insert(key);
}

void Rows::undo(const RowKey& key) {
  Row& row = rows_.at(key);
  CHECK(row.uncommitted.has_value(), "{}", key.key);
  const auto written = written_.find(row.uncommitted->writer);
  written->second.erase(key);
  if (written->second.empty()) written_.erase(written);
  row.uncommitted.reset();
  drop_if_empty(key);
}

void Rows::drop_if_empty(const RowKey& key) {
  const auto found = rows_.find(key);
  const Row& row = found->second;
  if (!row.uncommitted.has_value() && row.versions.empty()) rows_.erase(found);
}

void Rows::commit(TransactionNumber writer, CommitNumber at, CommitNumber oldest) {
  for (const auto& [key, value] : writes_of(writer)) {
    Row& row = rows_.at(key);
    row.uncommitted.reset();
    row.versions.push_back({at, value});
    if (key.table == Table::kBranch) changed_markers_.insert(key.key);
    // The newest version at or below the oldest snapshot is seen; those before it are not.
    auto keep = row.versions.end() - 1;
    while (keep != row.versions.begin() && keep->at > oldest)
      --keep;
    row.versions.erase(row.versions.begin(), keep);
    if (row.versions.size() == 1 && !row.versions.front().value.has_value()) row.versions.clear();
    drop_if_empty(key);
  }
  written_.erase(writer);
}

void Rows::roll_back(TransactionNumber writer) {
  for (const auto& [key, value] : writes_of(writer))
    undo(key);
}

std::map<RowKey, std::optional<RowValue>> Rows::writes_of(TransactionNumber writer) const {
  std::map<RowKey, std::optional<RowValue>> writes;
  const auto written = written_.find(writer);
  if (written == written_.end()) return writes;
  for (const RowKey& key : written->second)
    writes[key] = rows_.at(key).uncommitted->value;
  return writes;
}

std::optional<std::string> Rows::before(const RowKey& key) const {
  auto at = rows_.lower_bound(key);
  while (at != rows_.begin()) {
    --at;
    if (at->first.table != key.table) return std::nullopt;
    if (at->second.is_there()) return at->first.key;
  }
  return std::nullopt;
}

std::optional<std::string> Rows::behind(const RowKey& key) const {
  for (auto at = rows_.upper_bound(key); at != rows_.end() && at->first.table == key.table; ++at) {
    if (at->second.is_there()) return at->first.key;
  }
  return std::nullopt;
}

std::map<RowKey, RowValue> Rows::all_of(Table table) const {
  std::map<RowKey, RowValue> all;
  for (auto row = rows_.lower_bound({table, ""}); row != rows_.end() && row->first.table == table; ++row) {
    const std::vector<Committed>& versions = row->second.versions;
    if (!versions.empty() && versions.back().value.has_value())
      all.emplace(row->first, *versions.back().value);
  }
  return all;
}

std::map<RowKey, RowValue> Rows::all() const {
  std::map<RowKey, RowValue> all;
  for (const Table table : {Table::kAccounts, Table::kBranch, Table::kRequest, Table::kOwner, Table::kFloor})
    all.merge(all_of(table));
  return all;
}

}  // namespace troth::sim
