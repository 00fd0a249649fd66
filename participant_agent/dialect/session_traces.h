// participant_agent/dialect/session_traces.h
//
// What MySQL and MariaDB sessions are asked about what a branch left in them. A stored function or trigger may
// set what no text of the client shows, so every branch is looked behind; the server prepares the look once per
// session, because planning it costs four times what answering it does.
#pragma once

#include <string>
#include <vector>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// The settings that change what a statement means, does or returns, as this server has them: names for
// `look_at_session`. Answer: rows of name and value.
[[nodiscard]] Texts read_session_settings();

// The look, as an expression whose octets are the same as long as the session is clean: settings, schema, role, the
// clock, the number of user variables that hold something. Answering it frees named locks and forgets the last generated key. Without
// `variables` it does not count them, for a role that may not see them.
[[nodiscard]] std::string look_expression(DatabaseKind kind, const std::vector<std::string>& settings,
                                          bool variables);
// MySQL: the part of the look that the server does not tell by itself. With `session_track_state_change` it marks the answer
// of a statement that set a setting, a variable or the schema, however deep in triggers and functions; not a variable that
// an expression assigned (`:=`, SELECT .. INTO), a named lock, a role, nor that somebody has switched it off.
[[nodiscard]] std::string untracked_look_expression(bool variables);
// That one is marked by itself, so that it is also seen where it was switched on again; the others are what the server is
// shipped with. (A DBA who has set '*' would have every statement marked, by the server's own `statement_id`.)
inline constexpr std::string_view kTrackSession =
    "SET SESSION session_track_state_change = ON, SESSION session_track_system_variables = "
    "'session_track_state_change,time_zone,autocommit,character_set_client,character_set_results,"
    "character_set_connection'";

// Prepares `troth_look`, whose answer is one row with the look.
[[nodiscard]] Texts prepare_look(std::string_view look);
inline constexpr std::string_view kLook = "EXECUTE troth_look";

// MariaDB: prepares `troth_tables`: how many temporary tables were ever made in this session. (MySQL refuses to
// make any inside XA, 4091, and inside READ ONLY, 1792; MariaDB only the latter.)
[[nodiscard]] Texts prepare_table_look();
inline constexpr std::string_view kTableLook = "EXECUTE troth_tables";

// Does the text call anything that is not known as a function of the server itself?
[[nodiscard]] bool calls_stored_function(DatabaseKind kind, std::string_view sql);

}  // namespace troth::agent
