// participant_agent/runtime/database_connection.h
//
// What an agent can do with one session of a resource. Blocking; one thread at a time.
//
// Every answer is data: nothing here throws. [T12] No connection ever reconnects by itself; one that is lost
// stays lost, and says so by its condition. [T11] `Refused` is told only when nothing of the branch stands
// and nothing can still run for it; where the connection went, `Lost` leaves that to whoever ends the
// backend.
//
// Behind it: Postgres (libpqxx), MySQL and MariaDB (libmariadb), and do-nothing ones in tests/.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/dialect/database_error.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/dialect/statement.h"
#include "participant_agent/runtime/cancellation.h"
#include "participant_agent/runtime/connect_options.h"

namespace troth::agent {

class DeadlineWatch;

enum class ConnectionCondition : std::uint8_t {
  kIdle,      // nothing open: clean it up and use it again
  kTied,      // holds a prepared branch until that ends (MariaDB)
  kDoubtful,  // alive, but may hold something of the last branch: close it
  kLost,      // the connection broke; the server's end of it may still run
};

enum class BranchEnding : std::uint8_t {
  kPrepare,
  kCommitOnePhase,
  kReadOnly,
  kHoldReadOnly,  // leave the transaction open, on a session that is tied to it, until release_held()
};

struct ResultLimits {
  std::uint64_t rows_per_statement = 10'000;
  std::uint64_t bytes_per_branch = 17U << 20;  // a value of the largest size, and what is beside it
};

// The work of one branch, from begin to its vote. `statements` have passed `check_statements`.
struct BranchWork {
  BranchStart start;
  std::vector<Statement> statements;
  BranchEnding ending = BranchEnding::kPrepare;
  OwnerRow mine;
  bool durability_required = true;
  bool one_trip = true;  // sent whole and answered whole, where that can be
  ResultLimits limits;
  std::string comment;             // in front of each text; statements then are not kept prepared
  DeadlineWatch* watch = nullptr;  // keeps the statements' timeout where the server does not

  [[nodiscard]] bool writes() const {
    return ending == BranchEnding::kPrepare || ending == BranchEnding::kCommitOnePhase;
  }
};

// One statement of an interactive branch, with the branch's BranchWork, which has no statements then.
struct OpenStatement {
  Statement statement;
  std::uint32_t number = 0;
  bool first = false;  // begins the branch
  bool marks = false;  // the marker goes before it
};

// The yes vote. `tied`: the session is held until the branch ends.
struct Prepared {
  bool tied = false;
};
struct ReadOnlyDone {};
struct CommittedOnePhase {};
// The statement ran; the session is tied to its open branch.
struct StatementDone {};
// Nothing of the branch stands, and nothing can still run for it.
struct Refused {
  Error error;
};
// Somebody holds the marker's key: these rows, read after the branch was rolled back.
struct MarkerTaken {
  std::vector<MarkerRow> rows;
};
// The connection went. Once its backend is gone: without `ending_sent` nothing of the branch stands; with it
// the branch may be prepared (or committed, in one phase), and only the resource can tell.
struct Lost {
  Error error;
  bool ending_sent = false;
};

// How long each step took that came to its good end.
struct WorkTimes {
  std::optional<Duration> begin;       // with the marker and the checks
  std::optional<Duration> statements;  // all of them
  std::optional<Duration> ending;      // prepare, commit, or the end of a transaction that only read
};

struct WorkResult {
  std::variant<Refused, Prepared, ReadOnlyDone, CommittedOnePhase, StatementDone, MarkerTaken, Lost> outcome;
  std::vector<StatementResult> results;  // only with the four good outcomes
  SessionIdentity session;               // where it ran; journalled for a tied branch
  WorkTimes times;
};

// What was answered, or what the database's refusal means.
template <typename T>
using Answer = std::expected<T, ClassifiedError>;

enum class PreparedEnding : std::uint8_t { kCommit, kRollBack };

// What an event loop learns of a call that it has started.
enum class Arrival : std::uint8_t {
  kMore,  // wait for the descriptor's input
  kWell,  // the call itself, made now, returns without waiting
  kIll    // it has to be made, or a doubtful connection closed, on a thread that may wait
};

struct PreparedList {
  std::vector<PreparedRow> branches;
  std::size_t strangers = 0;  // prepared transactions that are not Troth's
};

class DatabaseConnection {
 public:
  DatabaseConnection() = default;
  DatabaseConnection(const DatabaseConnection&) = delete;
  DatabaseConnection& operator=(const DatabaseConnection&) = delete;
  // Closes the session. A tied branch stays prepared, and any session may end it then.
  virtual ~DatabaseConnection() = default;

  [[nodiscard]] virtual DatabaseKind kind() const = 0;
  [[nodiscard]] virtual SessionIdentity session_identity() const = 0;
  [[nodiscard]] virtual std::shared_ptr<Cancellation> cancellation() const = 0;
  [[nodiscard]] virtual ConnectionCondition condition() const = 0;
  // Takes away what the last branch may have left; false: that cannot be told or done, close it.
  [[nodiscard]] virtual bool clean_up() = 0;

  [[nodiscard]] virtual WorkResult run_branch(const BranchWork& work) = 0;
  // Interactive branches: one call for each statement, then one that ends it. Whatever is not StatementDone has ended
  // the branch.
  [[nodiscard]] virtual WorkResult run_statement(const BranchWork& work, const OpenStatement& statement) = 0;
  // `marked`: its marker stands. Without one, a branch that has written nothing is read-only; `hold` as in
  // kHoldReadOnly.
  [[nodiscard]] virtual WorkResult prepare_open(const BranchWork& work, bool marked, bool hold) = 0;
  // Refused, without an error of its own, when that is done.
  [[nodiscard]] virtual WorkResult roll_back_open(const BranchWork& work) = 0;
  // Ends what BranchEnding::kHoldReadOnly left open.
  [[nodiscard]] virtual Answer<void> release_held() = 0;
  // kUnknownXid is neither success nor failure [T9].
  [[nodiscard]] virtual Answer<void> finish_prepared(const BranchId& branch, PreparedEnding ending) = 0;

  // -- Carried by an event loop, which may not wait. Only where the driver can be asked whether an answer is there:
  //
  //   start_*(..) --true--> arrived() --kMore--> wait for input
  //                             |----- kWell --> the same call, without waiting; then arrived() for the cleaning
  //                             '----- kIll ---> the same call on a thread; it goes on with what was started
  [[nodiscard]] virtual std::optional<int> descriptor() const { return std::nullopt; }
  // Sends what the call of this name would send first. False: nothing was sent. `work` lives until its call returns.
  [[nodiscard]] virtual bool start_branch(const BranchWork& /*work*/) { return false; }
  [[nodiscard]] virtual bool start_finishing(const BranchId& /*branch*/, PreparedEnding /*ending*/) {
    return false;
  }
  // Of what was started; false: it goes out only when somebody waits for room, and no input comes before that.
  [[nodiscard]] virtual bool has_sent() { return true; }
  [[nodiscard]] virtual Arrival arrived() { return Arrival::kIll; }
  // Something may have come that the descriptor does not tell of: arrived() is to be asked again after a moment.
  [[nodiscard]] virtual bool arrives_unseen() const { return false; }

  [[nodiscard]] virtual Answer<std::vector<MarkerRow>> read_markers(
      const BranchId& branch, const std::optional<RequestKey>& request) = 0;
  // Its marker, if it stands, says from then that an operator committed it.
  [[nodiscard]] virtual Answer<void> mark_resolved(const BranchId& branch) = 0;
  // kDuplicateKey: read the markers. kLockTimeout: undecided.
  [[nodiscard]] virtual Answer<void> insert_barrier(const BranchId& branch, EpochNumber epoch,
                                                    std::chrono::milliseconds wait) = 0;
  [[nodiscard]] virtual Answer<void> insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                            std::chrono::milliseconds wait) = 0;
  [[nodiscard]] virtual Answer<PreparedList> list_prepared() = 0;

  // Every other session of this role, whatever its name.
  [[nodiscard]] virtual Answer<std::vector<RoleSession>> list_role_sessions() = 0;
  // Tells the server to end that session; true: it is gone (also when the server was restarted since).
  [[nodiscard]] virtual Answer<bool> end_session(const SessionIdentity& session) = 0;

  [[nodiscard]] virtual Answer<ServerRow> read_server(const std::string& known_gtid) = 0;
  // False: the row is another's by now, or (the counter) was set back: it is raised from `counter` - 1.
  [[nodiscard]] virtual Answer<bool> claim_owner(const OwnerRow& expected, const OwnerRow& claimed) = 0;
  [[nodiscard]] virtual Answer<bool> raise_counter(const OwnerRow& mine, std::uint64_t counter) = 0;
  [[nodiscard]] virtual Answer<void> raise_floors(const ClusterId& cluster, const Floors& floors) = 0;
  // How many rows went; fewer than `limit` is the last time.
  [[nodiscard]] virtual Answer<std::uint64_t> delete_markers(const ClusterId& cluster, const Floors& floors,
                                                             std::uint32_t limit) = 0;
  // Install and uninstall: each text on its own, until the first error.
  [[nodiscard]] virtual Answer<void> run_texts(const Texts& texts) = 0;
  // What `troth doctor` asks: the last text's rows.
  [[nodiscard]] virtual Answer<TextRows> ask_texts(const Texts& texts) = 0;
};

// Opens a session: logs in, sets it up, reads its identity. The password is in no message. The error's effect
// is none.
[[nodiscard]] Result<std::unique_ptr<DatabaseConnection>> connect_to(DatabaseKind kind,
                                                                     const ConnectOptions& options);

}  // namespace troth::agent
