// recovery/runtime/doctor_database.h
//
// Asks one database everything that recovery/doctor_facts.h wants to know of it, with the agent's own role.
#pragma once

#include <memory>
#include <string>

#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "recovery/doctor_facts.h"

namespace troth::recovery {

// Opens sessions of the agent's role, and gives up on a question that is not answered in time.
class DatabaseAsker {
 public:
  DatabaseAsker(agent::DatabaseKind kind, agent::ConnectOptions options);

  using Session = std::unique_ptr<agent::DatabaseConnection>;

  [[nodiscard]] agent::DatabaseKind kind() const { return kind_; }
  [[nodiscard]] Result<Session> open() const { return agent::connect_to(kind_, options_); }
  // In another database of the same server.
  [[nodiscard]] Result<Session> open_in(const std::string& database) const;
  [[nodiscard]] agent::Answer<agent::TextRows> ask(agent::DatabaseConnection& session,
                                                   const std::string& text);

 private:
  const agent::DatabaseKind kind_;
  const agent::ConnectOptions options_;
  agent::DeadlineWatch watch_;
};

// Not reached: the facts say why.
[[nodiscard]] ResourceFacts gather(const ConfiguredResource& configured, DatabaseAsker& asker);

// What stands between this role and the database, seen by what sessions do.
[[nodiscard]] SessionFacts try_sessions(DatabaseAsker& asker);

}  // namespace troth::recovery
