// What is wrong with a schema of a MySQL or MariaDB server.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recovery/doctor.h"

namespace troth::recovery {
namespace {

using agent::DatabaseKind;

constexpr std::int64_t kShortWaitTimeoutSeconds = 600;

using Version = std::array<int, 3>;

// "10.11.19-MariaDB-log" -> 10, 11, 19.
Version version_of(std::string_view text) {
  Version version{};
  for (int& part : version) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), part);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (text.empty() || text.front() != '.') break;
    text.remove_prefix(1);
  }
  return version;
}

bool is_on(std::string_view value) {
  return value == "ON" || value == "1";
}

bool is_off(std::string_view value) {
  return value == "OFF" || value == "0";
}

// As a whole word, quoted or not.
bool names(std::string_view text, std::string_view name) {
  const auto part_of_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
  };
  for (auto at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const auto end = at + name.size();
    if ((at == 0 || !part_of_word(text[at - 1])) && (end == text.size() || !part_of_word(text[end])))
      return true;
  }
  return false;
}

class Innodb {
 public:
  Innodb(const ResourceFacts& facts, const InnodbFacts& server)
      : resource_(facts.configured), server_(server), is_mysql_(resource_.kind == DatabaseKind::kMysql) {}

  std::vector<Finding> examine() && {
    judge_version();
    judge_durability();
    judge_binary_log();
    judge_session_settings();
    judge_connections();
    judge_role();
    judge_tables();
    judge_schema();
    return std::move(findings_);
  }

 private:
  void tell(std::string_view id, std::string seen, Names names = {}) {
    names.emplace_back("persist", is_mysql_ ? "PERSIST" : "GLOBAL");
    names.emplace_back("account", server_.account);
    names.emplace_back("schema", quoted_name(resource_.database, '`'));
    Finding finding = found(id, where_of(resource_), std::move(seen), names);
    // SET GLOBAL lasts until the next start.
    if (finding.mend.starts_with("SET GLOBAL")) finding.remedy = Remedy::kStatementAndSetting;
    findings_.push_back(std::move(finding));
  }

  [[nodiscard]] std::string_view setting(std::string_view name) const {
    const auto at = server_.settings.find(name);
    return at == server_.settings.end() ? std::string_view() : std::string_view(at->second);
  }
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view name) const {
    const auto text = setting(name);
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || read.ec != std::errc()) return std::nullopt;
    return value;
  }

  void judge_version() {
    if (server_.version.empty()) return;
    const Version first = is_mysql_ ? Version{8, 0, 30} : Version{10, 5, 2};
    if (version_of(server_.version) < first)
      tell("version-xa-defects", "it is " + server_.version,
           {{"version", is_mysql_ ? "MySQL 8.0.30" : "MariaDB 10.5.2"}});
  }

  void judge_durability() {
    if (is_off(setting("xa_detach_on_prepare"))) tell("xa-detach-off", "xa_detach_on_prepare is OFF");
    if (const auto flush = setting("innodb_flush_log_at_trx_commit"); !flush.empty() && flush != "1")
      tell("flush-log", fmt::format("innodb_flush_log_at_trx_commit is {}", flush));
    if (const auto doublewrite = setting("innodb_doublewrite");
        is_off(doublewrite) || doublewrite == "DETECT_ONLY")
      tell("doublewrite-off", fmt::format("innodb_doublewrite is {}", doublewrite));
    if (const auto method = setting("innodb_flush_method");
        method == "nosync" || method == "littlesync" || method == "O_DIRECT_NO_FSYNC")
      tell("flush-method", fmt::format("innodb_flush_method is {}", method));
    for (const auto* name : {"super_read_only", "read_only"}) {
      if (!is_on(setting(name))) continue;
      tell("read-only-server", fmt::format("{} is ON", name), {{"setting", name}});
    }
  }

  void judge_binary_log() {
    if (!is_on(setting("log_bin"))) return;
    if (const auto sync = setting("sync_binlog"); !sync.empty() && sync != "1")
      tell("sync-binlog", fmt::format("sync_binlog is {}", sync));
    if (setting("binlog_format") == "STATEMENT") tell("binlog-statement", "binlog_format is STATEMENT");
    if (const auto gtid = setting("gtid_mode"); !gtid.empty() && gtid != "ON")
      tell("gtid-off", fmt::format("gtid_mode is {}", gtid));
    const auto isolation =
        setting("transaction_isolation").empty() ? setting("tx_isolation") : setting("transaction_isolation");
    if (!isolation.empty() && isolation != "READ-COMMITTED" && isolation != "READ-UNCOMMITTED")
      tell("replica-gap-locks", fmt::format("transaction_isolation is {}", isolation));
  }

  void judge_session_settings() {
    if (is_off(setting("autocommit"))) tell("autocommit-off", "autocommit is OFF");
    if (const auto wait = number("wait_timeout"); wait && *wait < kShortWaitTimeoutSeconds)
      tell("wait-timeout", fmt::format("wait_timeout is {} s", *wait));
    for (const auto* name : {"idle_transaction_timeout", "idle_write_transaction_timeout"}) {
      if (const auto idle = number(name); idle && *idle > 0)
        tell("transaction-timeout", fmt::format("{} is {} s", name, *idle), {{"setting", name}});
    }
    if (!server_.settings.contains("sql_mode")) return;
    const auto mode = setting("sql_mode");
    if (names(mode, "STRICT_TRANS_TABLES") || names(mode, "STRICT_ALL_TABLES")) return;
    tell("sql-mode-not-strict", fmt::format("sql_mode is '{}'", mode),
         {{"mode", fmt::format("{}{}STRICT_TRANS_TABLES", mode, mode.empty() ? "" : ",")}});
  }

  void judge_connections() {
    const auto judge = [&](std::int64_t limit, std::string_view what, std::string statement) {
      if (limit >= resource_.connections) return;
      tell("connections-few",
           fmt::format("{} is {}; the agent opens up to {}", what, limit, resource_.connections),
           {{"statement", std::move(statement)}});
    };
    if (const auto most = number("max_connections")) {
      judge(*most, "max_connections",
            fmt::format("SET {} max_connections = {}", is_mysql_ ? "PERSIST" : "GLOBAL",
                        resource_.connections));
    }
    const auto global = number("max_user_connections").value_or(0);
    const auto own = server_.user_connections;
    if (global > 0 && (own == 0 || own == global)) {
      judge(global, "max_user_connections",
            fmt::format("SET {} max_user_connections = {}", is_mysql_ ? "PERSIST" : "GLOBAL",
                        resource_.connections));
    } else if (own > 0) {
      judge(
          own, "the account's MAX_USER_CONNECTIONS",
          fmt::format("ALTER USER {} WITH MAX_USER_CONNECTIONS {}", server_.account, resource_.connections));
    }
  }

  void judge_role() {
    if (server_.super) tell("role-super", fmt::format("{} has SUPER", server_.account));
    if (!is_mysql_) return;
    if (!server_.lists_prepared) tell("xa-recover-denied", "XA RECOVER is refused");
    if (!server_.sees_variables)
      tell("variables-unseen", "performance_schema.user_variables_by_thread cannot be read");
  }

  void judge_tables() {
    std::vector<std::string> keyless, keys, engines, conversions;
    for (const auto& table : server_.tables) {
      const auto name = quoted_name(table.name, '`');
      const bool innodb = table.engine == "InnoDB";
      if (!innodb) {
        engines.push_back(fmt::format("{} ({})", table.name, table.engine));
        conversions.push_back(fmt::format("ALTER TABLE {} ENGINE = InnoDB", name));
      }
      if (table.has_key || table.troths) continue;
      keyless.push_back(table.name);
      keys.push_back(fmt::format(
          "ALTER TABLE {} ADD COLUMN row_key BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", name));
    }
    if (!keyless.empty())
      tell("table-without-key", listed(keyless), {{"keys", fmt::format("{}", fmt::join(keys, "; "))}});
    if (!engines.empty())
      tell("table-engine", listed(engines), {{"statement", fmt::format("{}", fmt::join(conversions, "; "))}});
    for (const auto& trigger : server_.triggers)
      judge_trigger(trigger);
  }

  void judge_trigger(const InnodbTrigger& trigger) {
    for (const auto& table : server_.tables) {
      if (table.engine == "InnoDB" || !names(trigger.text, table.name)) continue;
      tell("trigger-engine",
           fmt::format("trigger {} of {} names {} ({})", trigger.name, trigger.table, table.name,
                       table.engine),
           {{"statement", fmt::format("ALTER TABLE {} ENGINE = InnoDB", quoted_name(table.name, '`'))}});
    }
  }

  void judge_schema() {
    if (!server_.character_set.empty() && server_.character_set != "utf8mb4")
      tell("character-set", fmt::format("the schema's character set is {}", server_.character_set));
    if (!server_.time_zones) tell("time-zone-tables", "CONVERT_TZ knows no named time zone");
  }

  const ConfiguredResource& resource_;
  const InnodbFacts& server_;
  const bool is_mysql_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine_innodb(const ResourceFacts& facts, const InnodbFacts& server) {
  return Innodb(facts, server).examine();
}

}  // namespace troth::recovery
