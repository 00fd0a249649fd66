// tests/sim/model/rows.h
//
// Rows with versions: what is committed, since when, and what one transaction has written and not committed. A unique
// key is a row of its own: the request's key of a marker is a row of Table::kRequest, which names the marker's.
//
// Whoever writes holds the row's lock (locks.h), so that there is one uncommitted value at most.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::sim {

// A transaction inside of one server.
using TransactionNumber = Named<struct TransactionNumberTag, std::uint64_t>;
// The order of commits; a snapshot sees those up to its own.
using CommitNumber = Named<struct CommitNumberTag, std::uint64_t>;

enum class Table : std::uint8_t { kAccounts, kBranch, kRequest, kOwner, kFloor };

// Ordered as the table's index is.
struct RowKey {
  Table table = Table::kAccounts;
  std::string key;
  auto operator<=>(const RowKey&) const = default;
};

[[nodiscard]] RowKey account_key(std::int64_t id);
[[nodiscard]] RowKey marker_key(const BranchId& branch);
[[nodiscard]] RowKey request_key(const RequestKey& request);
// The marker key of a request's barrier.
[[nodiscard]] RowKey request_barrier_key(const RequestKey& request);
[[nodiscard]] RowKey owner_key();
[[nodiscard]] RowKey floor_key(const ClusterId& cluster);

struct MarkerKey {
  RowKey key;
  auto operator<=>(const MarkerKey&) const = default;
};

using RowValue = std::variant<std::int64_t, agent::MarkerRow, MarkerKey, agent::OwnerRow, agent::Floors>;

class Rows {
 public:
  struct Committed {
    CommitNumber at;
    std::optional<RowValue> value;  // none: deleted
  };

  // What a transaction reads: its own write, or the newest version that its snapshot sees.
  [[nodiscard]] const RowValue* see(const RowKey& key, CommitNumber snapshot, TransactionNumber own) const;
  // The newest version, of its own writes first: what a locking read and a unique key see.
  [[nodiscard]] const RowValue* newest(const RowKey& key, TransactionNumber own) const;
  [[nodiscard]] CommitNumber last_commit_of(const RowKey& key) const;
  [[nodiscard]] bool has_uncommitted(const RowKey& key) const;

  void write(const RowKey& key, std::optional<RowValue> value, TransactionNumber writer);
  void undo(const RowKey& key);
  // All that `writer` has written becomes visible. Versions that no snapshot from `oldest` on sees go.
  void commit(TransactionNumber writer, CommitNumber at, CommitNumber oldest);
  void roll_back(TransactionNumber writer);
  // Committed since it was asked last: the keys of markers that came, went or changed.
  [[nodiscard]] std::set<std::string> take_changed_markers() { return std::exchange(changed_markers_, {}); }

  [[nodiscard]] std::map<RowKey, std::optional<RowValue>> writes_of(TransactionNumber writer) const;
  // Without a version or write, under a key of the same table: the neighbours' keys, of rows that are there for anybody.
  [[nodiscard]] std::optional<std::string> before(const RowKey& key) const;
  [[nodiscard]] std::optional<std::string> behind(const RowKey& key) const;
  // Committed, as of now.
  [[nodiscard]] std::map<RowKey, RowValue> all() const;
  [[nodiscard]] std::map<RowKey, RowValue> all_of(Table table) const;

 private:
  struct Uncommitted {
    TransactionNumber writer;
    std::optional<RowValue> value;
  };
  struct Row {
    std::vector<Committed> versions;  // oldest first
    std::optional<Uncommitted> uncommitted;
    [[nodiscard]] bool is_there() const;
  };

  void drop_if_empty(const RowKey& key);

  std::map<RowKey, Row> rows_;
  std::map<TransactionNumber, std::set<RowKey>> written_;  // uncommitted
  std::set<std::string> changed_markers_;
};

}  // namespace troth::sim
