// participant_agent/dialect/schema.h
//
// What `troth install RESOURCE` puts into a resource: on Postgres a schema `troth`, on MySQL and MariaDB
// tables in the resource's own schema (two schemas on one server share nothing, attack 49).
//
//   troth_branch          one row per writing branch: its marker, or a barrier
//   troth_owner           one row: the agent that may run branches here
//   troth_floor           one row per cluster: below it, rows were deleted on purpose
//   troth_schema_version  one row: version of this layout, and the installation's own random name
//
// Versions: in 1 a request stood in a row for each branch number, so that it could commit twice (attack 69); since 2 in
// one row, for a transaction has one branch in a resource, whatever its number. Since 3 a marker says when an operator
// committed its branch: of the transaction it proves nothing then.
#pragma once

#include <cstdint>
#include <string>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

inline constexpr std::uint32_t kSchemaVersion = 3;

struct InstallOptions {
  std::string role;          // the agent's database role, used by nobody else; MySQL: user part
  std::string role_host;     // MySQL and MariaDB: host part of the account, e.g. "localhost" or "%"
  std::string database;      // MySQL and MariaDB: the schema that is the resource
  std::string installation;  // random name of this installation, lower-case hexadecimal
};

// Run by a DBA's role, once; a second run changes nothing. The role itself (and its password) is made before.
// Where tables of an older version stand they are brought to this one, in place; from whatever an earlier run that
// was broken off left behind. The version is the last of it to rise, and only where the layout is its own.
[[nodiscard]] Texts install_texts(DatabaseKind kind, const InstallOptions& options);
// Refuse beforehand if `list_prepared` or an owner's recent counter shows life.
[[nodiscard]] Texts uninstall_texts(DatabaseKind kind, const InstallOptions& options);
// The same as one file for DBAs who run DDL themselves: comments, role, grants, tables.
[[nodiscard]] std::string install_script(DatabaseKind kind, const InstallOptions& options);

}  // namespace troth::agent
