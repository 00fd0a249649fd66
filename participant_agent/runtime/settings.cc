#include "participant_agent/runtime/settings.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/ids.h"
#include "thrift/address.h"

namespace troth::agent {
namespace {

constexpr std::int64_t kHourMs = 3600LL * 1000;

bool is_this_machine(const std::string& host) {
  // A name tells nothing before it is looked up, but for this one.
  const bool is_name = !host.contains(':') && host.find_first_not_of("0123456789.") != std::string::npos;
  return is_name ? host == "localhost" : !rpc::Address{host, 0}.is_elsewhere();
}

void describe_database_tls(Schema& schema, ResourceSettings& resource) {
  auto& tls = resource.tls;
  schema.choice(
      "tls", tls.mode,
      {{"off", DatabaseTlsMode::kOff},
       {"prefer", DatabaseTlsMode::kPrefer},
       {"require", DatabaseTlsMode::kRequire},
       {"verify_ca", DatabaseTlsMode::kVerifyCa},
       {"verify_full", DatabaseTlsMode::kVerifyFull}},
      "How sessions with the database are encrypted: off (loopback and sockets only), prefer (where the "
      "server has it), require (whoever it is), verify_ca (Postgres: its certificate is of `tls_ca`), "
      "verify_full (and names `host`). Only the last two keep out who can change what passes.");
  schema.path(
      "tls_ca", tls.ca, {},
      "PEM: the CA of the server's certificate. The driver reads these three files for each new session.");
  schema.path("tls_certificate", tls.certificate, {},
              "PEM: the role's own certificate, where the server asks for one.");
  schema.path("tls_key", tls.key, {}, "PEM: the private key of it.");
  const bool off = tls.mode == DatabaseTlsMode::kOff;
  const bool verifies = tls.mode == DatabaseTlsMode::kVerifyCa || tls.mode == DatabaseTlsMode::kVerifyFull;
  const bool is_here = !resource.socket.empty() || is_this_machine(resource.host);
  schema.require(
      !off || is_here, "tls",
      "is off, and the database is not on this machine's loopback: say how the session is encrypted "
      "(verify_full, verify_ca, require, or prefer)");
  schema.require(off || tls.mode == DatabaseTlsMode::kPrefer || resource.socket.empty(), "tls",
                 "stands beside `socket`: a Unix socket is not encrypted; call the database by `host`");
  schema.require(tls.mode != DatabaseTlsMode::kVerifyCa || resource.kind == DatabaseKind::kPostgres, "tls",
                 "verify_ca is for Postgres: where no TLS is offered, the driver of MySQL and MariaDB logs "
                 "in without it, "
                 "unless it compares the host's name too: take verify_full");
  schema.require(verifies == !tls.ca.empty(), "tls_ca",
                 "belongs to tls = \"verify_ca\" and \"verify_full\", which need it");
  schema.require(tls.certificate.empty() == tls.key.empty(), "tls_certificate",
                 "give tls_certificate and tls_key, or neither");
  schema.require(!off || tls.certificate.empty(), "tls_certificate", "is of no use while tls is off");
}

void describe_resource(Schema& schema, ResourceSettings& resource) {
  schema.text("name", resource.name, {.mandatory = true, .max_bytes = 32},
              "What services call this database; letters, digits, '-' and '_'.");
  schema.require(resource.name.empty() || parse_resource_name(resource.name).has_value(), "name",
                 "must be 1 to 32 letters, digits, '-' and '_'");
  schema.choice("kind", resource.kind,
                {{"postgres", DatabaseKind::kPostgres},
                 {"mysql", DatabaseKind::kMysql},
                 {"mariadb", DatabaseKind::kMariadb}},
                "Which database it is.");
  schema.text("host", resource.host, {.max_bytes = 255}, "Where it listens.");
  schema.integer("port", resource.port, {.min = 0, .max = 65'535},
                 "Its port; 0: the usual one, or `socket`.");
  schema.path("socket", resource.socket, {},
              "Unix socket (Postgres: its directory), in place of host and port.");
  schema.text("database", resource.database, {.mandatory = true, .max_bytes = 64},
              "The Postgres database, or the schema of a MySQL or MariaDB server, that is the resource.");
  schema.text(
      "user", resource.user, {.mandatory = true, .max_bytes = 64},
      "The agent's role. Nobody else may use it: at its start the agent ends every other session of it.");
  schema.secret("password", resource.password, {}, "The role's password. Read again at SIGHUP");
  describe_database_tls(schema, resource);
  schema.integer("sessions", resource.sessions, {.min = 1, .max = 1000},
                 "Sessions that run branches at a time.");
  schema.integer("tied_sessions", resource.tied_sessions, {.min = 1, .max = 10'000},
                 "Sessions held by interactive branches and, on MariaDB, by prepared ones, beside those.");
  schema.integer("queue", resource.queue, {.min = 1, .max = 1'000'000},
                 "Branches that may wait for a session; one more is refused as overloaded.");
  schema.duration_ms("lock_timeout_ms", resource.lock_timeout, {.min = 1, .max = kHourMs},
                     "How long a statement may wait for a lock (MySQL, MariaDB: rounded up to seconds).");
  schema.boolean("take_over", resource.take_over,
                 "Take the resource from the agent that owns it now. Ends that agent's sessions.");
  schema.boolean("require_durability", resource.require_durability,
                 "Refuse to vote while the server's settings could lose what it acknowledges.");
  schema.boolean(
      "one_trip", resource.one_trip,
      "Send a branch whose statements are known to the session whole, in one round trip, instead of its "
      "begin, each statement and its prepare one after the other.");
  schema.text_list(
      "comment", resource.comment, {.min = 0, .max = 3},
      "Of `label`, `traceparent` and `transaction`: what stands as a comment in front of each text "
      "of a branch, so that the database's own views name it. Its statements then are not kept "
      "prepared; see docs/monitoring.md for the price.");
  for (const auto& part : resource.comment) {
    schema.require(part == "label" || part == "traceparent" || part == "transaction", "comment",
                   "takes label, traceparent and transaction");
  }
}

void describe_times(Schema& schema, AgentSettings& settings) {
  schema.duration_ms("statement_timeout_ms", settings.statement_timeout, {.min = 1, .max = kHourMs},
                     "How long one statement may run when the call does not say.");
  schema.duration_ms("cancel_grace_ms", settings.cancel_grace, {.min = 10, .max = kHourMs},
                     "From cancelling a branch's statement to ending its session.");
  schema.duration_ms(
      "first_inquiry_ms", settings.first_inquiry, {.min = 10, .max = kHourMs},
      "A prepared branch that hears nothing asks the coordinators after this; the wait doubles.");
  schema.duration_ms("longest_inquiry_ms", settings.longest_inquiry, {.min = 10, .max = kHourMs},
                     "The longest such wait. It asks for ever and never decides alone.");
  schema.require(settings.first_inquiry <= settings.longest_inquiry, "longest_inquiry_ms",
                 "must be at least first_inquiry_ms");
  schema.duration_ms("list_interval_ms", settings.list_interval, {.min = 100, .max = kHourMs},
                     "How often the resource's prepared transactions are compared with the journal.");
  schema.duration_ms("counter_interval_ms", settings.counter_interval, {.min = 100, .max = 60'000},
                     "How often the owner row's counter rises; it shows a server that was set back.");
  schema.duration_ms("floor_interval_ms", settings.floor_interval, {.min = 100, .max = kHourMs},
                     "How often markers of what the coordinators have forgotten are looked for and deleted.");
  schema.duration_ms("barrier_wait_ms", settings.barrier_wait, {.min = 10, .max = 60'000},
                     "How long a barrier waits for a lock before the answer is `undecided`.");
  schema.duration_ms("handshake_timeout_ms", settings.handshake_timeout, {.min = 10, .max = 600'000},
                     "How long a client's TLS handshake may take.");
  schema.duration_ms("shutdown_grace_ms", settings.shutdown_grace, {.min = 0, .max = kHourMs},
                     "After SIGTERM: how long running branches may go on before they are rolled back.");
  schema.duration_ms(
      "slow_branch_ms", settings.slow_branch, {.min = 0, .max = 24 * kHourMs},
      "A branch that takes longer to its vote gets a line with the time of each step; 0: none does.");
  schema.duration_ms("leader_silence_ms", settings.leader_silence, {.min = 100, .max = kHourMs},
                     "When no coordinator was heard for so long, /readyz says that this agent cannot work.");
}

void require_loopback(Schema& schema, const AgentSettings& settings) {
  const auto is_here = [&](const std::string& text) {
    const auto address = rpc::Address::parse(text);
    return settings.tls.is_set() || !address || !address->is_elsewhere();
  };
  schema.require(is_here(settings.listen), "listen", rpc::kNeedsTls);
  schema.require(is_here(settings.advertise), "advertise", rpc::kNeedsTls);
  schema.require(std::ranges::all_of(settings.coordinators, is_here), "coordinators", rpc::kNeedsTls);
}

}  // namespace

CommentParts ResourceSettings::comment_parts() const {
  const auto wants = [this](std::string_view part) {
    return std::ranges::find(comment, part) != comment.end();
  };
  return {.label = wants("label"), .traceparent = wants("traceparent"), .transaction = wants("transaction")};
}

void describe(Schema& schema, AgentSettings& settings) {
  schema.text("listen", settings.listen, {.max_bytes = 280},
              "host:port where coordinators call; port 0 takes any free one.");
  schema.text(
      "http_listen", settings.http_listen, {.max_bytes = 280},
      "host:port of /metrics, /healthz and /readyz, in plain HTTP; `:9465` is on loopback only; empty: off.");
  schema.text("advertise", settings.advertise, {.max_bytes = 280},
              "host:port that coordinators are told to call; where it listens, when empty.");
  schema.text_list("coordinators", settings.coordinators, {.min = 1, .max = 7},
                   "host:port of each coordinator.");
  rpc::describe_tls(schema, settings.tls);
  require_loopback(schema, settings);
  schema.tables<ResourceSettings>("resource", settings.resources, {.min = 1, .max = 64},
                                  "A database that this agent stands in front of.",
                                  [&](ResourceSettings& resource) { describe_resource(schema, resource); });
  std::set<std::string> names;
  for (const auto& resource : settings.resources) {
    schema.require(names.insert(resource.name).second, "resource", "two resources have the same name");
  }
  schema.section("limits", "What the agent refuses to exceed.", [&] {
    schema.integer("branches", settings.branches, {.min = 1, .max = 10'000'000},
                   "Branches that are not yet ended.");
    schema.size_bytes(
        "branch_bytes", settings.branch_bytes, {.min = 1 << 20, .max = 64LL << 30},
        "Statements and parameters of running branches together; as much again for answers that open "
        "ones keep.");
    schema.integer("connections", settings.max_connections, {.min = 1, .max = 100'000},
                   "Connections to this agent.");
    schema.integer("connections_per_caller", settings.max_connections_per_caller, {.min = 1, .max = 100'000},
                   "With TLS: the same for one certificate's name.");
    schema.integer("handshakes", settings.max_handshakes, {.min = 1, .max = 100'000},
                   "TLS handshakes under way; one more ends the oldest.");
    schema.size_bytes("frame_bytes", settings.max_frame_bytes, {.min = 4096, .max = 1 << 30},
                      "The largest message that is taken.");
    schema.integer("rows", settings.max_rows, {.min = 1, .max = 10'000'000},
                   "Rows that one statement may return.");
    schema.size_bytes("result_bytes", settings.max_result_bytes, {.min = 4096, .max = 1 << 30},
                      "Results of one branch together.");
  });
  schema.section("times", "How long it waits.", [&] { describe_times(schema, settings); });
  schema.section("journal", "The agent's own log, in the data directory.", [&] {
    schema.size_bytes("segment_bytes", settings.segment_bytes, {.min = 1 << 20, .max = 4LL << 30},
                      "Length of one preallocated segment file.");
    schema.size_bytes("journal_bytes", settings.journal_bytes,
                      {.min = 4 << 20, .max = std::numeric_limits<std::int64_t>::max()},
                      "Past this size the oldest segment is cleaned: what lives is copied forward.");
  });
}

ConnectOptions connect_options_of(const ResourceSettings& resource) {
  ConnectOptions options;
  options.host = resource.host;
  options.port = resource.port;
  options.socket = resource.socket;
  options.database = resource.database;
  options.tls = resource.tls;
  return options;
}

}  // namespace troth::agent
