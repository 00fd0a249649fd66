#include <fmt/format.h>

#include "participant_agent/dialect/dialects.h"
#include "participant_agent/dialect/innodb_dialect.h"
#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {
namespace {

class MysqlDialect final : public InnodbDialect {
 public:
  DatabaseKind kind() const override { return DatabaseKind::kMysql; }
  // xa_detach_on_prepare (8.0.29) frees the session; `read_server` refuses a server that does not.
  bool ties_prepared_branches() const override { return false; }

  Texts list_prepared() const override { return {"XA RECOVER CONVERT XID"}; }

  std::optional<PreparedRow> parse_prepared(const TextRow& row) const override {
    if (row.size() != 4 || !row[0] || !row[1] || !row[2] || !row[3]) return std::nullopt;
    const auto xid = parse_mysql_recover(*row[0], *row[1], *row[2], *row[3]);
    if (!xid) return std::nullopt;
    auto branch = branch_of(*xid);
    if (!branch) return std::nullopt;
    return PreparedRow{std::move(*branch), std::nullopt};
  }

  Texts read_server(const std::string& known_gtid) const override {
    const std::string holds = known_gtid.empty() ? "NULL"
                                                 : fmt::format("GTID_SUBSET(X'{}', @@GLOBAL.gtid_executed)",
                                                               hexadecimal(known_gtid));
    return {
        fmt::format("SELECT @@server_uuid, 0, IF(LENGTH(@@GLOBAL.gtid_executed) > {}, '', "
                    "REPLACE(@@GLOBAL.gtid_executed, CHAR(10), '')), {}, (@@GLOBAL.read_only OR "
                    "@@GLOBAL.super_read_only), "
                    "UNIX_TIMESTAMP() - {}, VERSION(), v.installation, v.version, "
                    "IF(@@SESSION.xa_detach_on_prepare, '', 'xa_detach_on_prepare is OFF: a prepared branch "
                    "would hold its "
                    "session; set it to ON'), {}, o.agent, o.incarnation, o.nonce, o.counter "
                    "FROM troth_owner o, troth_schema_version v WHERE o.id = 1 AND v.id = 1",
                    kMaxKnownGtidBytes, holds, uptime(), kInnodbNotDurable)};
  }

 protected:
  std::string_view uptime() const override {
    return "(SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM performance_schema.global_status "
           "WHERE VARIABLE_NAME = 'Uptime')";
  }
};

}  // namespace

const Dialect& mysql_dialect() {
  static const MysqlDialect kDialect;
  return kDialect;
}

}  // namespace troth::agent
