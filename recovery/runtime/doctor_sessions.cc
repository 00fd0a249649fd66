// Is there a pooler or a proxy in between? Nobody asks what it is; what sessions do shows it:
//
//   one session, two transactions, others in between: another backend?        transactions are pooled
//   BEGIN and a statement after it: refused, or another backend?              statements are pooled
//   a session opened after another was closed: its backend?                   sessions are pooled
//   the number that a session is told, and the server's own: different?       a proxy counts for itself
//
// A backend is named so that no two ever have the same name: Postgres' by its start too.
#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"
#include "recovery/runtime/doctor_database.h"

namespace troth::recovery {
namespace {

using namespace std::chrono_literals;

using Session = DatabaseAsker::Session;

constexpr int kOthers = 3;      // sessions that take a backend while the first one rests
constexpr int kSuccessors = 5;  // sessions opened one after another
constexpr Duration kGoneWithin = 5s;

class Experiment {
 public:
  explicit Experiment(DatabaseAsker& asker)
      : asker_(asker),
        postgres_(asker.kind() == agent::DatabaseKind::kPostgres),
        token_(random_text(12, "0123456789abcdef")) {}

  SessionFacts run() && {
    try_transaction();
    if (facts_.transaction_refused.empty()) try_many();
    if (undisturbed()) try_successors();
    if (!postgres_) compare_numbers();
    if (postgres_) ask_console();
    if (undisturbed() && facts_.kept.empty() && facts_.renamed.empty()) try_ending();
    return std::move(facts_);
  }

 private:
  [[nodiscard]] bool undisturbed() const {
    return facts_.transaction_refused.empty() && facts_.moved.empty();
  }

  bool run_text(const Session& session, const std::string& text) {
    return asker_.ask(*session, text).has_value();
  }

  // Empty: no answer.
  std::string answer_to(const Session& session, const std::string& text) {
    const auto rows = asker_.ask(*session, text);
    if (!rows || rows->empty() || rows->front().empty()) return {};
    return rows->front().front().value_or("");
  }

  std::string backend_of(const Session& session) {
    return answer_to(
        session, postgres_ ? "SELECT pid || ' of ' || to_char(backend_start, 'HH24:MI:SS.US') FROM "
                             "pg_stat_activity WHERE pid = pg_backend_pid()"
                           // The server's own list shows this very statement. Each has a number of its own:
                           // another session's last one may be listed for a moment after it was answered.
                           : fmt::format("SELECT id FROM information_schema.processlist WHERE info LIKE "
                                         "'%troth-doctor-{}-{}-%'",
                                         token_, ++asked_));
  }

  bool serves_statements() {
    const auto session = asker_.open();
    return session && run_text(*session, "SELECT 1");
  }

  void try_transaction() {
    const auto session = asker_.open();
    if (!session) return;
    const auto begun = asker_.ask(**session, "BEGIN");
    const auto first = begun ? backend_of(*session) : "";
    const auto second = begun ? backend_of(*session) : "";
    // Lost or refused here only: a server that just went away refuses everything.
    const bool lost = (*session)->condition() == agent::ConnectionCondition::kLost;
    if (!begun || lost) {
      if (!serves_statements()) return;
      facts_.transaction_refused = begun ? "the session was lost inside a transaction"
                                         : fmt::format("BEGIN: {}", begun.error().error.message);
    } else if (!first.empty() && !second.empty() && first != second) {
      facts_.transaction_refused =
          fmt::format("one transaction ran in two backends, {} and {}", first, second);
    } else {
      run_text(*session, "COMMIT");
    }
  }

  // ---- several sessions at a time

  [[nodiscard]] std::vector<std::string> leave_state() const {
    if (postgres_) {
      return {fmt::format("SET troth.doctor = '{}'", token_),
              fmt::format("PREPARE troth_doctor_{} AS SELECT 1", token_),
              fmt::format("SELECT pg_advisory_lock(('x' || '{}')::bit(48)::bigint)", token_)};
    }
    return {fmt::format("SET @troth_doctor = '{}'", token_),
            fmt::format("PREPARE troth_doctor_{} FROM 'SELECT 1'", token_),
            fmt::format("DO GET_LOCK('troth_doctor_{}', 0)", token_)};
  }

  [[nodiscard]] std::vector<std::string> take_state_away() const {
    if (postgres_) {
      return {"RESET troth.doctor", fmt::format("DEALLOCATE troth_doctor_{}", token_),
              fmt::format("SELECT pg_advisory_unlock(('x' || '{}')::bit(48)::bigint)", token_)};
    }
    return {"SET @troth_doctor = NULL", fmt::format("DEALLOCATE PREPARE troth_doctor_{}", token_),
            fmt::format("DO RELEASE_LOCK('troth_doctor_{}')", token_)};
  }

  void see_what_is_lost(const Session& session) {
    const auto setting =
        answer_to(session, postgres_ ? "SELECT coalesce(current_setting('troth.doctor', true), '')"
                                     : "SELECT COALESCE(@troth_doctor, '')");
    if (setting != token_) facts_.lost.emplace_back(postgres_ ? "a setting" : "a user variable");
    if (!run_text(session, fmt::format("EXECUTE troth_doctor_{}", token_)))
      facts_.lost.emplace_back("a prepared statement");
    const auto locked = answer_to(
        session,
        postgres_
            ? fmt::format("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                          "pid = pg_backend_pid() AND objsubid = 1 AND "
                          "(classid::bigint << 32) + objid::bigint = ('x' || '{}')::bit(48)::bigint",
                          token_)
            : fmt::format("SELECT COALESCE(IS_USED_LOCK('troth_doctor_{}') = CONNECTION_ID(), 0)", token_));
    if (locked != "1") facts_.lost.emplace_back(postgres_ ? "an advisory lock" : "a named lock");
  }

  void try_many() {
    auto opened = asker_.open();
    if (!opened) return;
    std::vector<Session> sessions;
    sessions.push_back(std::move(*opened));
    const auto first = backend_of(sessions.front());
    for (const auto& text : leave_state())
      run_text(sessions.front(), text);
    for (int i = 0; i < kOthers && facts_.moved.empty(); ++i) {
      auto other = asker_.open();
      if (!other) break;  // no more sessions are free, which is no sign of a pooler
      run_text(*other, "BEGIN");
      if (const auto theirs = backend_of(*other); !theirs.empty() && theirs == first)
        facts_.moved = fmt::format("two open sessions had the same backend, {}", theirs);
      sessions.push_back(std::move(*other));
    }
    if (const auto now = backend_of(sessions.front()); !now.empty()) {
      if (!first.empty() && now != first)
        facts_.moved = fmt::format("one session had the backends {} and {}", first, now);
      see_what_is_lost(sessions.front());
    }
    // On each of them: whoever has the backend that holds the traces takes them away.
    for (const auto& session : sessions) {
      for (const auto& text : take_state_away())
        run_text(session, text);
      run_text(session, "ROLLBACK");
      for (const auto& text : take_state_away())
        run_text(session, text);
    }
  }

  // ---- one after another

  void try_successors() {
    std::set<std::string> seen;
    for (int i = 0; i < kSuccessors && facts_.kept.empty(); ++i) {
      const auto session = asker_.open();
      if (!session) return;
      const auto backend = backend_of(*session);
      if (!backend.empty() && !seen.insert(backend).second)
        facts_.kept = fmt::format("a new session got the backend {} of one that had been closed", backend);
    }
  }

  void compare_numbers() {
    const auto session = asker_.open();
    if (!session) return;
    const auto told = answer_to(*session, "SELECT CONNECTION_ID()");
    const auto servers = backend_of(*session);
    if (!told.empty() && !servers.empty() && told != servers)
      facts_.renamed =
          fmt::format("the session was told that it is {}, the server lists it as {}", told, servers);
  }

  // A Postgres has no database of this name, or lets the role in and knows no SHOW POOLS.
  void ask_console() {
    const auto console = asker_.open_in("pgbouncer");
    const std::string message = console ? "" : console.error().message;
    const bool answers = console ? run_text(*console, "SHOW POOLS")
                                 : message.find("not allowed") != std::string::npos ||
                                       message.find("admin access") != std::string::npos;
    if (answers) facts_.console = "PgBouncer's console is at this address";
  }

  void try_ending() {
    const auto killer = asker_.open();
    const auto victim = asker_.open();
    if (!killer || !victim) return;
    const auto deadline = boot_now() + kGoneWithin;
    for (;;) {
      const auto gone = (*killer)->end_session((*victim)->session_identity());
      if (!gone) {
        facts_.cannot_end = gone.error().error.message;
        return;
      }
      if (*gone) break;
      if (boot_now() > deadline) {
        facts_.cannot_end = "a session that was ended is still there";
        return;
      }
      std::this_thread::sleep_for(20ms);
    }
    facts_.cannot_end = run_text(*victim, "SELECT 1") ? "another session than the one meant was ended" : "";
  }

  DatabaseAsker& asker_;
  const bool postgres_;
  const std::string token_;
  int asked_ = 0;
  SessionFacts facts_;
};

}  // namespace

SessionFacts try_sessions(DatabaseAsker& asker) {
  return Experiment(asker).run();
}

}  // namespace troth::recovery
