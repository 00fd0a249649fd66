// participant_agent/dialect/dialect.h
//
// Every text that the agent itself sends to a database, and how its answers read. Pure: a session takes the
// texts and runs them; what an answer means is decided by the branch's and the owner's life cycles.
//
// How a session runs `Texts`:
//   1. Each text is one call with the simple (text) protocol; they run in order; the first error ends the
//   list.
//   2. The rows (or the count of changed rows) of the *last* text are the answer.
//   3. One Postgres text may hold several statements; MySQL and MariaDB texts hold one each.
//   4. An answer's row is read as text, NULL as nullopt, columns by position.
// A client's own statements never come from here: they go through prepared statements.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/resource_rows.h"

namespace troth::agent {

using Texts = std::vector<std::string>;

inline constexpr std::uint32_t kRepeatedRequestsShown = 20;

// kUnset: the database's own for Postgres; READ COMMITTED for MySQL and MariaDB, whose gap locks otherwise
// make strangers wait for branches in doubt.
enum class Isolation : std::uint8_t { kUnset, kReadCommitted, kRepeatableRead, kSerializable };

struct SessionSettings {
  std::string application_name;                    // shown to DBAs; proves nothing
  std::chrono::milliseconds lock_wait_timeout{0};  // MySQL and MariaDB: rounded up to seconds; 0: leave
  // Attack 50, MySQL and MariaDB: a marker insert that had to wait keeps a gap lock that stops every other marker. Nobody
  // tells whether it waited, so a begin that took this long is taken for one; a false alarm costs one more trip.
  std::chrono::milliseconds begin_had_to_wait{20};
};

struct BranchStart {
  BranchId id;
  EpochNumber epoch;  // of the leader that asked for the work
  std::optional<RequestKey> request;
  Digest digest;
  Isolation isolation = Isolation::kUnset;
  // Of each statement; 0: none. Where the server cannot be told, the session's owner stops it.
  std::chrono::milliseconds statement_timeout{0};
  // Postgres: inside the branch's transaction; 0: the session's own.
  std::chrono::milliseconds lock_timeout{0};
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  [[nodiscard]] virtual DatabaseKind kind() const = 0;

  // -- Sessions --------------------------------------------------------------------------------------------
  // Run once on a fresh session.
  [[nodiscard]] virtual Texts set_up_session(const SessionSettings& settings) const = 0;
  // Takes away what a branch may have left. Where `StatementClass::touches_session` was true on MySQL or
  // MariaDB this is not enough: close the session.
  [[nodiscard]] virtual Texts reset_session(const SessionSettings& settings) const = 0;
  // Answer: one row for `parse_session_identity`: this session's own id and the server's start.
  [[nodiscard]] virtual Texts read_session_identity() const = 0;
  // Answer: rows for `parse_session`: every other session of this role, whatever its name (attack 52).
  [[nodiscard]] virtual Texts list_role_sessions() const = 0;
  // Ends another session of this role / interrupts its running statement.
  [[nodiscard]] virtual Texts end_session(ConnectionId session) const = 0;
  [[nodiscard]] virtual Texts cancel_statement(ConnectionId session) const = 0;

  // -- A branch's life -------------------------------------------------------------------------------------
  // What the server is to plan once for each session, before its first branch; may be nothing.
  [[nodiscard]] virtual Texts prepare_for_branches() const = 0;
  // Begins the branch, inserts its marker as the first statement, then reads owner, floors and durability
  // without a lock. Answer: one row for `parse_guard`. Only the marker can meet a duplicate key here: then roll
  // back and read the markers.
  [[nodiscard]] virtual Texts begin_branch(const BranchStart& start) const = 0;
  // An interactive branch that has only read so far: begins it without its marker. Answer: one row for
  // `parse_guard`.
  [[nodiscard]] virtual Texts begin_unmarked(const BranchStart& start) const = 0;
  // Inside of that branch, before its first statement that may write: the marker, then the guard. Answer: one row for
  // `parse_guard`. Only the marker can meet a duplicate key here.
  [[nodiscard]] virtual Texts mark(const BranchStart& start) const = 0;
  // Answer: one row, '1' when a branch without marker has written all the same (a function in a SELECT). No text:
  // the database cannot tell.
  [[nodiscard]] virtual Texts has_written() const = 0;
  // A transaction that the database keeps from writing. Answer: one row for `parse_guard`.
  [[nodiscard]] virtual Texts begin_read_only(const BranchStart& start) const = 0;
  [[nodiscard]] virtual Texts end_read_only() const = 0;
  // Proves that the session is still inside this branch, sets what durability needs, prepares. Success of the
  // last text is the yes; Postgres: only with the command tag PREPARE TRANSACTION.
  [[nodiscard]] virtual Texts prepare(const BranchId& branch) const = 0;
  // The same, but commits. Success of the last text is the commit; Postgres: only with the command tag
  // COMMIT.
  [[nodiscard]] virtual Texts commit_one_phase(const BranchId& branch) const = 0;
  // Ends a branch that is not prepared, on its own session. Run every text, whatever the ones before came to.
  [[nodiscard]] virtual Texts roll_back_active(const BranchId& branch) const = 0;
  // MariaDB: on the session that prepared it, while that lives; else, and elsewhere, on any.
  [[nodiscard]] virtual Texts commit_prepared(const BranchId& branch) const = 0;
  [[nodiscard]] virtual Texts roll_back_prepared(const BranchId& branch) const = 0;
  // Does the prepared branch hold its session until it ends? (MariaDB)
  [[nodiscard]] virtual bool ties_prepared_branches() const = 0;
  // Must a marker insert that had to wait be begun again? (InnoDB: a granted waiter keeps a gap lock, attack
  // 50)
  [[nodiscard]] virtual bool begins_again_after_wait() const = 0;
  // Does `begin_branch` make the server keep BranchStart::statement_timeout?
  [[nodiscard]] virtual bool server_times_statements() const = 0;

  // -- Proof [T9] ------------------------------------------------------------------------------------------
  // Answer: rows for `parse_marker`, found by branch and, if given, by request key.
  [[nodiscard]] virtual Texts read_markers(const BranchId& branch,
                                           const std::optional<RequestKey>& request) const = 0;
  // Of a branch that an operator committed. Changed rows: 0 where no marker of it says "committed".
  [[nodiscard]] virtual Texts mark_resolved(const BranchId& branch) const = 0;
  // Inserts and commits a barrier row at the branch's key, in its own transaction. Success: the branch can
  // never happen. Duplicate key: read the marker. Lock timeout: undecided. `wait` is Postgres'; MySQL and
  // MariaDB wait as long as the session was set up for.
  [[nodiscard]] virtual Texts insert_barrier(const BranchId& branch, EpochNumber epoch,
                                             std::chrono::milliseconds wait) const = 0;
  // The same at a request's key: no branch of this request can ever commit here. Branch number 1.
  [[nodiscard]] virtual Texts insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                     std::chrono::milliseconds wait) const = 0;
  // Answer: rows for `parse_marker`, of requests that stand in more than one row, the first kRepeatedRequestsShown
  // of them: only tables of version 1 let that be.
  [[nodiscard]] virtual Texts read_unread_calls() const = 0;
  // Answer: rows for `parse_prepared`; strangers' rows parse to nothing.
  [[nodiscard]] virtual Texts list_prepared() const = 0;
  // Nothing: a stranger's, never touched.
  [[nodiscard]] virtual std::optional<PreparedRow> parse_prepared(const TextRow& row) const = 0;

  // -- Ownership and identity ------------------------------------------------------------------------------
  // Answer: one row for `parse_server`: the server's identity, the installation and the owner row.
  // `known_gtid`: what the journal last saw; MySQL answers whether the server still holds it.
  [[nodiscard]] virtual Texts read_server(const std::string& known_gtid) const = 0;
  // Compare-and-set. Changed rows: 1 won, 0 the row is another's by now.
  [[nodiscard]] virtual Texts claim_owner(const OwnerRow& expected, const OwnerRow& claimed) const = 0;
  // From `counter` - 1. Changed rows: 1 raised, 0 the row is another's by now, or was set back.
  [[nodiscard]] virtual Texts raise_counter(const OwnerRow& mine, std::uint64_t counter) const = 0;

  // -- Floors and clean-up ---------------------------------------------------------------------------------
  // Commits the floors on their own; never lowers one. Rows go later, in `delete_markers`.
  [[nodiscard]] virtual Texts raise_floors(const ClusterId& cluster, const Floors& floors) const = 0;
  // Deletes up to `limit` rows below both floors. Changed rows: how many went; fewer than `limit` is the
  // last.
  [[nodiscard]] virtual Texts delete_markers(const ClusterId& cluster, const Floors& floors,
                                             std::uint32_t limit) const = 0;
};

[[nodiscard]] const Dialect& dialect_of(DatabaseKind kind);

// What a guard row says against this branch: another owner (not_owner), below a floor (too_old,
// request_id_too_old), settings that lose what they acknowledged (not_durable). All effect none.
[[nodiscard]] Status check_guard(const GuardRow& guard, const OwnerRow& mine, const BranchStart& start,
                                 bool durability_required);

}  // namespace troth::agent
