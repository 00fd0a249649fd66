// What is wrong with a Postgres database.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recovery/doctor.h"

namespace troth::recovery {
namespace {

class Postgres {
 public:
  Postgres(const ResourceFacts& facts, const PostgresFacts& server)
      : resource_(facts.configured),
        server_(server),
        role_(quoted_name(resource_.role, '"')),
        database_(quoted_name(resource_.database, '"')) {}

  std::vector<Finding> examine() && {
    judge_version();
    judge_prepared_slots();
    judge_durability();
    judge_session_settings();
    judge_connections();
    judge_role();
    judge_tables();
    return std::move(findings_);
  }

 private:
  void tell(std::string_view id, std::string seen, Names names = {}) {
    names.emplace_back("role", role_);
    names.emplace_back("database", database_);
    names.emplace_back("resource", resource_.name);
    findings_.push_back(found(id, where_of(resource_), std::move(seen), names));
  }

  [[nodiscard]] std::string_view setting(std::string_view name) const {
    const auto at = server_.settings.find(name);
    return at == server_.settings.end() ? std::string_view() : std::string_view(at->second);
  }
  // Nothing: this version does not have it.
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view name) const {
    const auto text = setting(name);
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || read.ec != std::errc()) return std::nullopt;
    return value;
  }

  void judge_version() {
    if (server_.version == 0 || server_.version >= 130'000) return;
    tell("version-unsupported", fmt::format("it is version {}", server_.version / 10'000));
  }

  // Prepared transactions of every database and owner take a slot.
  void judge_prepared_slots() {
    const auto held = static_cast<std::int64_t>(server_.prepared.size());
    const std::int64_t needed = resource_.sessions + held;
    const auto slots = number("max_prepared_transactions");
    if (!slots || *slots >= needed) return;
    tell(*slots == 0 ? "prepared-transactions-off" : "prepared-transactions-few",
         fmt::format(
             "max_prepared_transactions is {}; {} sessions are configured, {} transactions are prepared",
             *slots, resource_.sessions, held),
         {{"needed", fmt::format("{}", needed)}});
  }

  void judge_durability() {
    if (setting("fsync") == "off") tell("fsync-off", "fsync is off");
    if (setting("full_page_writes") == "off") tell("full-page-writes-off", "full_page_writes is off");
    const auto commit = setting("synchronous_commit");
    if (commit == "off" || commit == "local")
      tell("synchronous-commit-off", fmt::format("synchronous_commit is {}", commit));
    if (server_.standby) tell("standby", "pg_is_in_recovery() is true");
  }

  void judge_session_settings() {
    if (setting("default_transaction_read_only") == "on")
      tell("default-read-only", "default_transaction_read_only is on");
    if (const auto isolation = setting("default_transaction_isolation");
        !isolation.empty() && isolation != "read committed")
      tell("default-isolation", fmt::format("default_transaction_isolation is {}", isolation));
    const auto judge_timeout = [&](std::string_view id, std::string_view name) {
      if (const auto ms = number(name); ms && *ms > 0)
        tell(id, fmt::format("{} is {} ms", name, *ms), {{"setting", std::string(name)}});
    };
    for (const auto* name :
         {"idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"})
      judge_timeout("timeout-ends-branches", name);
    for (const auto* name : {"statement_timeout", "lock_timeout"})
      judge_timeout("timeout-ends-statements", name);
    if (number("client_connection_check_interval") == 0)
      tell("client-check-off", "client_connection_check_interval is 0");
  }

  void judge_connections() {
    const auto judge = [&](std::int64_t limit, std::string_view what, std::string statement, Remedy remedy) {
      if (limit < 0 || limit >= resource_.connections) return;
      tell("connections-few",
           fmt::format("{} is {}; the agent opens up to {}", what, limit, resource_.connections),
           {{"statement", std::move(statement)}});
      findings_.back().remedy = remedy;
    };
    if (const auto most = number("max_connections")) {
      const auto reserved =
          number("superuser_reserved_connections").value_or(0) + number("reserved_connections").value_or(0);
      judge(*most - reserved, "max_connections, less what is reserved,",
            fmt::format("ALTER SYSTEM SET max_connections = {}", resource_.connections + reserved),
            Remedy::kStatementRestart);
    }
    judge(server_.role_connections, "the role's CONNECTION LIMIT",
          fmt::format("ALTER ROLE {} CONNECTION LIMIT {}", role_, resource_.connections), Remedy::kStatement);
    judge(server_.database_connections, "the database's CONNECTION LIMIT",
          fmt::format("ALTER DATABASE {} CONNECTION LIMIT {}", database_, resource_.connections),
          Remedy::kStatement);
  }

  void judge_role() {
    if (server_.superuser) tell("role-superuser", fmt::format("{} is a superuser", resource_.role));
  }

  void judge_tables() {
    const auto judge = [&](std::string_view id, std::string_view name, const std::vector<Flaw>& flaws) {
      if (flaws.empty()) return;
      std::vector<std::string> names, statements;
      for (const auto& flaw : flaws) {
        names.push_back(flaw.name);
        statements.push_back(flaw.statement);
      }
      tell(id, listed(names), {{name, fmt::format("{}", fmt::join(statements, "; "))}});
    };
    judge("table-without-key", "keys", server_.without_key);
    judge("deferred-constraint", "statement", server_.deferred);
  }

  const ConfiguredResource& resource_;
  const PostgresFacts& server_;
  const std::string role_;
  const std::string database_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine_postgres(const ResourceFacts& facts, const PostgresFacts& server) {
  return Postgres(facts, server).examine();
}

}  // namespace troth::recovery
