// participant_agent/dialect/innodb_dialect.h
//
// What MySQL and MariaDB have in common; mysql.cc and mariadb.cc add where they differ.
#pragma once

#include <string>
#include <string_view>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// Empty, or the setting with which the server may lose what it acknowledged.
inline constexpr std::string_view kInnodbNotDurable =
    "CASE WHEN @@GLOBAL.innodb_flush_log_at_trx_commit <> 1 THEN 'innodb_flush_log_at_trx_commit is not 1' "
    "WHEN @@GLOBAL.log_bin AND @@GLOBAL.sync_binlog <> 1 THEN 'sync_binlog is not 1' ELSE '' END";

class InnodbDialect : public Dialect {
 public:
  [[nodiscard]] Texts set_up_session(const SessionSettings& settings) const override;
  [[nodiscard]] Texts reset_session(const SessionSettings& settings) const override;
  [[nodiscard]] Texts read_session_identity() const override;
  [[nodiscard]] Texts list_role_sessions() const override;
  [[nodiscard]] Texts end_session(ConnectionId session) const override;
  [[nodiscard]] Texts cancel_statement(ConnectionId session) const override;

  [[nodiscard]] Texts prepare_for_branches() const override { return {}; }
  [[nodiscard]] Texts begin_branch(const BranchStart& start) const override;
  [[nodiscard]] Texts begin_unmarked(const BranchStart& start) const override;
  [[nodiscard]] Texts mark(const BranchStart& start) const override;
  [[nodiscard]] Texts has_written() const override;
  [[nodiscard]] Texts begin_read_only(const BranchStart& start) const override;
  [[nodiscard]] Texts end_read_only() const override;
  [[nodiscard]] Texts prepare(const BranchId& branch) const override;
  [[nodiscard]] Texts commit_one_phase(const BranchId& branch) const override;
  [[nodiscard]] Texts roll_back_active(const BranchId& branch) const override;
  [[nodiscard]] Texts commit_prepared(const BranchId& branch) const override;
  [[nodiscard]] Texts roll_back_prepared(const BranchId& branch) const override;
  [[nodiscard]] bool begins_again_after_wait() const override { return true; }
  // MySQL times SELECT only.
  [[nodiscard]] bool server_times_statements() const override { return false; }

  [[nodiscard]] Texts mark_resolved(const BranchId& branch) const override;
  [[nodiscard]] Texts read_markers(const BranchId& branch,
                                   const std::optional<RequestKey>& request) const override;
  [[nodiscard]] Texts read_unread_calls() const override;
  [[nodiscard]] Texts insert_barrier(const BranchId& branch, EpochNumber epoch,
                                     std::chrono::milliseconds wait) const override;
  [[nodiscard]] Texts insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                             std::chrono::milliseconds wait) const override;

  [[nodiscard]] Texts claim_owner(const OwnerRow& expected, const OwnerRow& claimed) const override;
  [[nodiscard]] Texts raise_counter(const OwnerRow& mine, std::uint64_t counter) const override;
  [[nodiscard]] Texts raise_floors(const ClusterId& cluster, const Floors& floors) const override;
  [[nodiscard]] Texts delete_markers(const ClusterId& cluster, const Floors& floors,
                                     std::uint32_t limit) const override;

 protected:
  // The server's uptime in seconds, as an expression.
  [[nodiscard]] virtual std::string_view uptime() const = 0;
};

}  // namespace troth::agent
