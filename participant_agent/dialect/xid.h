// participant_agent/dialect/xid.h
//
// How a branch is called inside a database. XA: formatID 0x54524F54 ("TROT"), gtrid = `1` (format version)
// and the transaction id, bqual = the branch number. Postgres: `troth1.<transaction id>.<branch>`.
//
// Whatever does not parse is a stranger's and is never touched; nor is another cluster's (`of_cluster`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace troth::agent {

inline constexpr std::uint32_t kXaFormatId = 0x54524F54;

struct XaXid {
  std::uint32_t format_id = 0;
  std::string gtrid;
  std::string bqual;
  auto operator<=>(const XaXid&) const = default;
};

[[nodiscard]] XaXid xa_xid_of(const BranchId& branch);
[[nodiscard]] std::optional<BranchId> branch_of(const XaXid& xid);

[[nodiscard]] std::string postgres_gid_of(const BranchId& branch);
[[nodiscard]] std::optional<BranchId> branch_of_postgres_gid(std::string_view gid);

// `X'31..',X'31',1414680404`: an XID as XA statements take it, safe in every SQL mode.
[[nodiscard]] std::string xa_literal(const XaXid& xid);

// From a row of MySQL's XA RECOVER CONVERT XID: lengths, and both parts as one text `0x...`.
[[nodiscard]] std::optional<XaXid> parse_mysql_recover(std::string_view format_id,
                                                       std::string_view gtrid_length,
                                                       std::string_view bqual_length, std::string_view data);
// From a row of MariaDB's XA RECOVER FORMAT='SQL': `X'..',X'..',n` or with plain quotes.
[[nodiscard]] std::optional<XaXid> parse_mariadb_recover(std::string_view sql);

[[nodiscard]] inline bool of_cluster(const BranchId& branch, const ClusterId& cluster) {
  return branch.transaction.cluster == cluster;
}

}  // namespace troth::agent
