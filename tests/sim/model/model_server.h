// tests/sim/model/model_server.h
//
// One database server in virtual time: a Postgres, MySQL or MariaDB with one resource in it, Troth's tables and a table
// of accounts. Deterministic: no thread, no clock, and every duration drawn from its own generator.
//
//   open --> submit --> (wakes_at, advance) --> take_completions      one request at a time for each session
//               |
//               '-- vanish, cut: the client has gone; the server's end goes on with what it was sent (a zombie)
//
// What it does beside answering is what real servers do, and each such behaviour is a test that runs against model and
// server alike: tests/sim/model/behaviour/. Not modelled: client statements beyond statement_words.h, SQL texts
// (run_texts, ask_texts), several resources on one server.
//
// Every call takes the time at which it arrives; times never go back. Network delay is the caller's to add.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/resource_rows.h"
#include "tests/sim/model/requests.h"

namespace troth::sim {

class Engine;
struct DurableState;

struct Span {
  Duration least{};
  Duration most{};
};

struct ModelTimes {
  Span statement{.least = Duration(20), .most = Duration(200)};  // one, without its waits
  Span trip{.least = Duration(50), .most = Duration(300)};  // there and back, for each one beyond the first
  Span sync{.least = Duration(100), .most = Duration(2'000)};   // makes a prepare or a commit durable
  Span wake{.least = Duration(5), .most = Duration(100)};       // from a lock's release to going on
  Span ending{.least = Duration(50), .most = Duration(5'000)};  // from a session's end to its being gone
};

struct ModelOptions {
  agent::DatabaseKind kind = agent::DatabaseKind::kPostgres;
  std::string server = "model";                   // its identity, as in ServerRow
  std::map<std::int64_t, std::int64_t> accounts;  // id -> balance, from the beginning
  std::size_t prepared_slots = 200;               // Postgres
  bool binary_log = false;                        // MariaDB
  ModelTimes times;
};

// Everything that a copy of the server's disk holds: for set_back() and promote(). Cheap to copy.
class Snapshot {
 private:
  friend class Engine;
  std::shared_ptr<const DurableState> state_;
};

class ModelServer {
 public:
  // Runs from `now` on.
  ModelServer(ModelOptions options, Random random, Instant now);
  ~ModelServer();
  ModelServer(const ModelServer&) = delete;
  ModelServer& operator=(const ModelServer&) = delete;
  ModelServer(ModelServer&& other) noexcept;

  // ---- Clients
  // Unavailable, effect none, while it is down. A role sees and ends its own sessions only.
  [[nodiscard]] Result<SessionHandle> open(const std::string& role, const agent::SessionSettings& settings,
                                           Instant now);
  void submit(SessionHandle session, Request request, Instant now);
  // Cancellation::request(): what is prepared from here on is taken back.
  void request_stop(SessionHandle session, Instant now);
  // Cancellation::request() and interrupt(): ends the running statement, too.
  void interrupt(SessionHandle session, Instant now);
  // Cancellation::break_off(): the client's end gives up, and is answered so; otherwise as vanish().
  void break_off(SessionHandle session, Instant now);
  // The client's end is closed, as when its process dies: nothing is answered any more. The server sees it when it next
  // reads, so that what was sent is done first; then it rolls back and the session goes.
  void vanish(SessionHandle session, Instant now);
  // The same without the server's ever hearing of it (half-open): its end stays until somebody ends it. The client's end
  // may still break_off(); it is forgotten with vanish().
  void cut(SessionHandle session, Instant now);
  // Of an open session; nothing of it is known behind vanish().
  [[nodiscard]] bool has(SessionHandle session) const;
  [[nodiscard]] agent::SessionIdentity identity(SessionHandle session) const;
  [[nodiscard]] agent::ConnectionCondition condition(SessionHandle session) const;

  // ---- Time
  // When advance() has something to do next.
  [[nodiscard]] std::optional<Instant> wakes_at() const;
  void advance(Instant now);
  [[nodiscard]] std::vector<Completion> take_completions();
  // Of one session only; the others' stay.
  [[nodiscard]] std::optional<Completion> take_completion(SessionHandle session);

  // ---- Faults
  // Everything that was not on the disk is gone. Sessions are lost: a request under way is answered so.
  void crash(Instant now);
  void start(Instant now);
  [[nodiscard]] bool is_up() const;
  [[nodiscard]] Snapshot snapshot() const;
  // The disk of an older day under the same identity; it must be down.
  void set_back(const Snapshot& snapshot);
  // The disk of a standby, which then becomes the server; it must be down. Postgres: another timeline. MySQL and
  // MariaDB: another server, with another identity.
  void promote(const Snapshot& snapshot);
  // Postgres: as a standby it is read-only, too.
  void set_read_only(bool read_only);
  // A standby that runs becomes the server, under its own timeline.
  void become_primary();
  // A disk that is slow, or stalls.
  void set_sync(Span sync);
  // What it would tell as its reason for losing what it acknowledged; empty: it does not.
  void set_not_durable(std::string why);

  // ---- The truth, for invariants and tests
  [[nodiscard]] std::map<std::int64_t, std::int64_t> accounts() const;  // committed
  [[nodiscard]] std::vector<agent::MarkerRow> markers() const;          // committed, barriers too
  // Those that came, went (none) or changed since it was asked last, by their key; a start tells all.
  [[nodiscard]] std::map<std::string, std::optional<agent::MarkerRow>> take_changed_markers();
  [[nodiscard]] std::set<BranchId> prepared() const;
  [[nodiscard]] agent::OwnerRow owner() const;
  [[nodiscard]] agent::Floors floors(const ClusterId& cluster) const;
  // Does the session's end at the server live: its client's end may have gone?
  [[nodiscard]] bool lives(SessionHandle session) const;
  [[nodiscard]] bool waits_for_lock(SessionHandle session) const;
  // Does it wait for the disk, where nothing stops it?
  [[nodiscard]] bool flushes(SessionHandle session) const;
  // The session that has this identity; the newest where several had.
  [[nodiscard]] std::optional<SessionHandle> find(const agent::SessionIdentity& session) const;
  // Ends a session as a DBA would.
  void kill(SessionHandle session, Instant now);

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace troth::sim
