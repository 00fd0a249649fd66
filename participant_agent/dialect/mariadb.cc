#include <fmt/format.h>

#include "participant_agent/dialect/dialects.h"
#include "participant_agent/dialect/innodb_dialect.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {
namespace {

class MariadbDialect final : public InnodbDialect {
 public:
  DatabaseKind kind() const override { return DatabaseKind::kMariadb; }
  // Until the preparing session ends, every other one gets 1397 for its branch.
  bool ties_prepared_branches() const override { return true; }

  Texts list_prepared() const override { return {"XA RECOVER FORMAT='SQL'"}; }

  std::optional<PreparedRow> parse_prepared(const TextRow& row) const override {
    if (row.size() != 4 || !row[3]) return std::nullopt;
    const auto xid = parse_mariadb_recover(*row[3]);
    if (!xid) return std::nullopt;
    auto branch = branch_of(*xid);
    if (!branch) return std::nullopt;
    return PreparedRow{std::move(*branch), std::nullopt};
  }

  // MariaDB's GTIDs name positions, not sets; the owner row's counter is what shows a set-back server.
  Texts read_server(const std::string& /*known_gtid*/) const override {
    return {
        fmt::format("SELECT @@server_uid, 0, '', NULL, @@GLOBAL.read_only, UNIX_TIMESTAMP() - {}, VERSION(), "
                    "v.installation, v.version, '', {}, o.agent, o.incarnation, o.nonce, o.counter "
                    "FROM troth_owner o, troth_schema_version v WHERE o.id = 1 AND v.id = 1",
                    uptime(), kInnodbNotDurable)};
  }

 protected:
  std::string_view uptime() const override {
    return "(SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM information_schema.global_status "
           "WHERE VARIABLE_NAME = 'UPTIME')";
  }
};

}  // namespace

const Dialect& mariadb_dialect() {
  static const MariadbDialect kDialect;
  return kDialect;
}

}  // namespace troth::agent
