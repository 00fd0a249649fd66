#include "participant_agent/dialect/resource_rows.h"

#include "participant_agent/dialect/row_reader.h"

namespace troth::agent {

std::string_view name_of(MarkerState state) {
  switch (state) {
    case MarkerState::kCommitted: return "committed";
    case MarkerState::kLocal: return "local";
    case MarkerState::kUndone: return "undone";
    case MarkerState::kBarred: return "barred";
    case MarkerState::kRepaired: return "repaired";
    case MarkerState::kResolved: return "resolved";
  }
  return "invalid";
}

std::optional<MarkerState> marker_state_of(std::string_view name) {
  for (const auto state : {MarkerState::kCommitted, MarkerState::kLocal, MarkerState::kUndone,
                           MarkerState::kBarred, MarkerState::kRepaired, MarkerState::kResolved}) {
    if (name == name_of(state)) return state;
  }
  return std::nullopt;
}

namespace {

OwnerRow read_owner(RowReader& reader) {
  OwnerRow owner;
  owner.agent.value = reader.text();
  owner.incarnation.value = reader.number();
  owner.nonce.value = reader.hexadecimal();
  owner.counter = reader.number();
  return owner;
}

}  // namespace

Result<GuardRow> parse_guard(const TextRow& row) {
  RowReader reader("guard row", row);
  GuardRow guard;
  guard.owner = read_owner(reader);
  guard.floors.position.epoch.value = reader.number32();
  guard.floors.position.sequence.value = reader.number();
  guard.floors.request_ms = reader.number();
  guard.not_durable = reader.text();
  return reader.finished(std::move(guard));
}

Result<MarkerRow> parse_marker(const TextRow& row) {
  RowReader reader("marker row", row);
  MarkerRow marker;
  marker.transaction = reader.text();
  marker.branch.value = reader.number32();
  const auto state = marker_state_of(reader.text());
  if (state) {
    marker.state = *state;
  } else {
    reader.refuse("its state is none of Troth's");
  }
  const auto client = reader.optional_text();
  const auto request_id = reader.optional_octets<16>();
  if (client && request_id) marker.request = RequestKey{*client, {*request_id}};
  if (const auto digest = reader.optional_octets<32>()) marker.digest = Digest{*digest};
  marker.epoch.value = reader.number32();
  return reader.finished(std::move(marker));
}

Result<ServerRow> parse_server(const TextRow& row) {
  RowReader reader("server row", row);
  ServerRow server;
  server.server = reader.text();
  server.timeline = reader.number();
  server.gtid = reader.text();
  if (const auto holds = reader.optional_text()) server.holds_known_gtid = *holds == "1";
  server.read_only = reader.flag();
  server.started.value = static_cast<std::int64_t>(reader.number());
  server.version = reader.text();
  server.installation = reader.text();
  server.schema_version = reader.number32();
  server.cannot_prepare = reader.text();
  server.not_durable = reader.text();
  server.owner = read_owner(reader);
  return reader.finished(std::move(server));
}

Result<SessionIdentity> parse_session_identity(const TextRow& row) {
  RowReader reader("session row", row);
  SessionIdentity identity;
  identity.connection.value = reader.number();
  identity.server_start.value = static_cast<std::int64_t>(reader.number());
  return reader.finished(identity);
}

Result<RoleSession> parse_session(const TextRow& row) {
  RowReader reader("session list row", row);
  RoleSession session;
  session.connection.value = reader.number();
  session.state = reader.optional_text().value_or("");
  return reader.finished(std::move(session));
}

}  // namespace troth::agent
