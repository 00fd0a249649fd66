#include "coordinator/runtime/settings.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "coordinator/decision_store/runtime/group_store.h"
#include "thrift/address.h"

namespace troth::coordinator {
namespace {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

bool is_elsewhere(const std::string& listen) {
  const auto address = rpc::Address::parse(listen);
  return address && address->is_elsewhere();
}

void describe_limits(Schema& schema, CoordinatorSettings& settings) {
  auto& table = settings.table;
  schema.integer("undecided", table.undecided, {.min = 1, .max = 1'000'000},
                 "Transactions that may be undecided at a time; a call beyond it is refused as overloaded.");
  schema.integer("undecided_per_client", table.undecided_per_client, {.min = 1, .max = 1'000'000},
                 "The same for one client_name.");
  schema.integer("interactive_per_client", table.interactive_per_client, {.min = 1, .max = 1'000'000},
                 "Interactive ones of one client_name: each may hold a session in every resource it uses.");
  schema.size_bytes("request_bytes", table.bytes, {.min = 1 << 20, .max = 64LL << 30},
                    "Statements and parameters of all undecided transactions together.");
  schema.integer("open", table.open, {.min = 1, .max = 10'000'000},
                 "Transactions not yet ended, decided ones that wait for an agent included.");
  schema.integer("branches", table.branches, {.min = 1, .max = 256}, "Branches of one transaction.");
  schema.integer("connections", settings.max_connections, {.min = 1, .max = 1'000'000},
                 "Connections of services, agents and the tool together.");
  schema.integer("connections_per_caller", settings.max_connections_per_caller, {.min = 1, .max = 1'000'000},
                 "With TLS: the same for one certificate's name.");
  schema.integer("handshakes", settings.max_handshakes, {.min = 1, .max = 100'000},
                 "TLS handshakes under way; one more ends the oldest.");
  schema.integer("agents", settings.max_agents, {.min = 1, .max = 100'000},
                 "Agents that this process calls; one more is not registered.");
  schema.integer("calls", settings.max_calls, {.min = 1, .max = 1'000'000},
                 "Calls in flight, over all connections.");
  schema.integer("calls_per_connection", settings.max_calls_per_connection, {.min = 1, .max = 100'000},
                 "Calls in flight on one connection.");
  schema.size_bytes("frame_bytes", settings.max_frame_bytes, {.min = 4096, .max = 1 << 30},
                    "The largest message that is taken.");
}

void describe_times(Schema& schema, CoordinatorSettings& settings) {
  auto& table = settings.table;
  schema.duration_ms("default_timeout_ms", table.default_timeout, {.min = 1, .max = kDayMs},
                     "How long a transaction may take when the call does not say.");
  schema.duration_ms("longest_timeout_ms", table.longest_timeout, {.min = 1, .max = kDayMs},
                     "The longest timeout that a call may ask for; bounds what agents must remember.");
  schema.duration_ms(
      "interactive_timeout_ms", table.interactive_timeout, {.min = 1, .max = kDayMs},
      "How long an interactive transaction may take, from begin to commit, when begin does not say.");
  schema.duration_ms(
      "idle_timeout_ms", table.idle_timeout, {.min = 1, .max = kDayMs},
      "The longest pause between two calls of one, when begin does not say: then it is rolled back.");
  schema.duration_ms("longest_idle_ms", table.longest_idle, {.min = 1, .max = kDayMs},
                     "The longest pause that begin may ask for: what is idle may hold locks.");
  schema.duration_ms("heartbeat_interval_ms", settings.heartbeat_interval, {.min = 10, .max = 60'000},
                     "How often each agent is told epoch, watermark and floors.");
  schema.duration_ms("agent_call_timeout_ms", settings.agent_call_timeout, {.min = 10, .max = 600'000},
                     "How long a commit, settle or heartbeat may go unanswered before it is sent again.");
  schema.duration_ms("redrive_first_ms", table.redrive.first, {.min = 10, .max = 3'600'000},
                     "The first wait before an unacknowledged commit is sent again; it doubles from there.");
  schema.duration_ms("redrive_longest_ms", table.redrive.longest, {.min = 10, .max = 3'600'000},
                     "The longest such wait. A commit is sent again for ever.");
  schema.require(table.redrive.first <= table.redrive.longest, "redrive_longest_ms",
                 "must be at least redrive_first_ms");
  schema.duration_ms("handshake_timeout_ms", settings.handshake_timeout, {.min = 10, .max = 600'000},
                     "How long a client's TLS handshake may take.");
  schema.duration_ms("shutdown_grace_ms", settings.shutdown_grace, {.min = 0, .max = 3'600'000},
                     "After SIGTERM: how long running transactions may go on before they are answered.");
  schema.duration_ms("slow_transaction_ms", settings.slow_transaction, {.min = 0, .max = kDayMs},
                     "A call that takes longer gets a line with the time of each step; 0: none does.");
}

// ---- the group

void describe_replica(Schema& schema, ReplicaSettings& replica) {
  schema.integer("number", replica.number, {.min = 1, .max = 1'000'000},
                 "Given once, and never to another one, not even when this replica is gone for ever.");
  schema.text("address", replica.address, {.mandatory = true, .max_bytes = 280},
              "host:port where services, agents and the tool call it.");
  schema.text("peer_address", replica.peer_address, {.mandatory = true, .max_bytes = 280},
              "host:port where the other replicas call it.");
}

std::vector<std::uint32_t> numbers_of(const std::vector<ReplicaSettings>& replicas) {
  std::vector<std::uint32_t> numbers;
  for (const auto& replica : replicas)
    numbers.push_back(replica.number);
  return numbers;
}

// nullopt: it is no list of numbers.
std::optional<std::vector<std::uint32_t>> numbers_in(std::string_view text) {
  std::vector<std::uint32_t> numbers;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto first = word.find_first_not_of(' ');
    if (first == std::string_view::npos) return std::nullopt;
    const auto digits = word.substr(first, word.find_last_not_of(' ') - first + 1);
    std::uint32_t number = 0;
    const auto [at, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (problem != std::errc() || at != digits.data() + digits.size() || number == 0) return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

// What is wrong with the list of replicas, or nothing.
std::string trouble_of(const GroupSettings& group) {
  std::map<std::uint32_t, std::size_t> numbers;
  std::map<std::string, std::uint32_t> addresses;
  for (const auto& replica : group.replicas) {
    if (replica.number == 0) return "a replica has no number: give each its own, 1 or more";
    if (++numbers[replica.number] > 1)
      return fmt::format("there are two replicas with the number {}", replica.number);
    for (const auto& text : {replica.address, replica.peer_address}) {
      const auto address = rpc::Address::parse(text);
      if (!address) return fmt::format("replica {}: {}", replica.number, address.error().message);
      if (address->port == 0)
        return fmt::format("replica {}: {} names no port: others have to know it", replica.number, text);
      const auto [at, is_new] = addresses.emplace(address->text(), replica.number);
      if (!is_new)
        return fmt::format("{} is an address of replica {} and of replica {}", text, at->second,
                           replica.number);
    }
  }
  return {};
}

void describe_group(Schema& schema, CoordinatorSettings& settings) {
  auto& group = settings.group;
  schema.section("group", "Several coordinators that decide together; without it this one is alone.", [&] {
    schema.integer("replica", group.replica, {.min = 0, .max = 1'000'000},
                   "Which of [[replicas]] this process is; 0: none, it has its decision store for itself.");
    schema.text("listen", group.listen, {.max_bytes = 280},
                "host:port where the other replicas call; its own peer_address, when empty.");
    schema.text("founders", group.founders, {.max_bytes = 280},
                "Numbers of the replicas that began the group, \"1, 2, 3\"; it never changes, not even when "
                "one of them is "
                "gone. Empty: all that are listed below. Whoever is not among them learns first, and votes "
                "when it is added.");
    schema.integer("write_quorum", group.quorums.write, {.min = 0, .max = consensus::kMostVoters},
                   "Of a group that begins: how many replicas make a decision durable; 0: a majority.");
    schema.integer(
        "elect_quorum", group.quorums.elect, {.min = 0, .max = consensus::kMostVoters},
        "How many it takes to elect a leader: with write_quorum more than there are; 0: a majority.");
    schema.integer("read_quorum", group.quorums.read, {.min = 0, .max = consensus::kMostVoters},
                   "How many a quorum read asks: with write_quorum more than there are; 0: a majority.");
    schema.duration_ms(
        "lease_ms", group.lease, {.min = 20, .max = 10'000},
        "Of a group that begins: for how long a leader may answer reads from its own memory, and "
        "nobody else can be elected.");
    schema.duration_ms("patience_ms", group.patience, {.min = 0, .max = 60'000},
                       "How long a call waits for a leader, while there is none.");
  });
  schema.tables<ReplicaSettings>("replicas", group.replicas, {.min = 0, .max = 16},
                                 "The coordinators of the group, this one included; the same list at each.",
                                 [&](ReplicaSettings& replica) { describe_replica(schema, replica); });
  const auto trouble = trouble_of(group);
  schema.require(trouble.empty(), "replicas", trouble);
  schema.require(group.is_set() || group.replicas.empty(), "replicas",
                 "are listed, and group.replica does not say which of them this process is");
  if (!group.listen.empty()) {
    const auto address = rpc::Address::parse(group.listen);
    schema.require(address.has_value(), "group.listen", address ? "" : address.error().message);
    schema.require(settings.tls.is_set() || !is_elsewhere(group.listen), "group.listen", rpc::kNeedsTls);
  }
  const bool readable = numbers_in(group.founders).has_value();
  schema.require(readable, "group.founders", "expected numbers of replicas: \"1, 2, 3\"");
  if (!group.is_set() || !readable) return;
  const auto* own = group.find(group.replica);
  schema.require(
      own != nullptr, "replicas",
      fmt::format("none has the number {}, which group.replica says this process is", group.replica));
  if (const auto possible = consensus::check(group.beginning()); !possible)
    schema.require(false, "group", possible.error().message);
  const bool all_here = std::ranges::none_of(
      group.replicas, [](const auto& replica) { return is_elsewhere(replica.peer_address); });
  schema.require(settings.tls.is_set() || all_here, "replicas", rpc::kNeedsTls);
}

void describe_retention(Schema& schema, CoordinatorSettings& settings) {
  auto& table = settings.table;
  schema.duration_ms("keep_ms", table.retention, {.min = 1000, .max = 3650 * kDayMs},
                     "How long an ended transaction and its request_id are remembered.");
  schema.duration_ms("least_age_ms", table.least_age, {.min = 1000, .max = 3650 * kDayMs},
                     "Below this age nothing is forgotten, whatever the count.");
  schema.integer("keep_records", table.kept_records, {.min = 1000, .max = 1'000'000'000},
                 "Ended transactions remembered at most; more raises the floor, never below least_age_ms.");
  schema.require(table.least_age <= table.retention, "least_age_ms", "must be at most keep_ms");
}

}  // namespace

const ReplicaSettings* GroupSettings::find(std::uint32_t number) const {
  const auto found = std::ranges::find(replicas, number, &ReplicaSettings::number);
  return found == replicas.end() ? nullptr : &*found;
}

consensus::Configuration GroupSettings::beginning() const {
  consensus::Replicas voters;
  for (const auto number : founders.empty() ? numbers_of(replicas) : *numbers_in(founders))
    voters.insert({number});
  auto configuration = consensus::with_majorities(std::move(voters));
  if (quorums.write != 0) configuration.quorums.write = quorums.write;
  if (quorums.elect != 0) configuration.quorums.elect = quorums.elect;
  if (quorums.read != 0) configuration.quorums.read = quorums.read;
  configuration.lease_terms.length = lease;
  return configuration;
}

std::string text_of(const consensus::Configuration& configuration) {
  std::vector<std::uint32_t> voters;
  for (const auto& voter : configuration.voters)
    voters.push_back(voter.value);
  const auto& [write, elect, read] = configuration.quorums;
  const auto lease = std::chrono::duration_cast<std::chrono::milliseconds>(configuration.lease_terms.length);
  return fmt::format("replicas {}: write {}, elect {}, read {}, lease {} ms", fmt::join(voters, ", "), write,
                     elect, read, lease.count());
}

void describe(Schema& schema, CoordinatorSettings& settings) {
  schema.text("listen", settings.listen, {.max_bytes = 280},
              "host:port where services, agents and the tool call; port 0 takes any free one.");
  schema.text(
      "http_listen", settings.http_listen, {.max_bytes = 280},
      "host:port of /metrics, /healthz and /readyz, in plain HTTP; `:9464` is on loopback only; empty: off.");
  schema.text_list(
      "operator_resources", settings.operator_resources, {.min = 0, .max = 1000},
      "With TLS: resources that operators may use with `troth execute`; \"*\": all. What else operators do "
      "needs no entry.");
  rpc::describe_tls(schema, settings.tls);
  schema.require(settings.tls.is_set() || !is_elsewhere(settings.listen), "listen", rpc::kNeedsTls);
  schema.tables<ServiceGrant>(
      "services", settings.services, {.min = 0, .max = 10'000},
      "With TLS: a service, and what it may use. A service that is not named here may use nothing.",
      [&](ServiceGrant& service) {
        schema.text("name", service.name, {.mandatory = true, .max_bytes = 64},
                    "Its name: the CN of its certificate, and its client_name.");
        schema.text_list("resources", service.resources, {.min = 0, .max = 1000},
                         "Names of resources; \"*\": all.");
      });
  schema.require(settings.tls.is_set() || settings.services.empty(), "services",
                 "without TLS no service can prove its name: set tls.ca, tls.certificate and tls.key");
  schema.require(settings.tls.is_set() || settings.operator_resources.empty(), "operator_resources",
                 "without TLS nobody can prove to be an operator: set tls.ca, tls.certificate and tls.key");
  describe_group(schema, settings);
  schema.section("limits", "What the coordinator refuses to exceed.",
                 [&] { describe_limits(schema, settings); });
  schema.section("times", "How long it waits.", [&] { describe_times(schema, settings); });
  schema.section("retention", "What it remembers of ended transactions, and for how long.",
                 [&] { describe_retention(schema, settings); });
  schema.section("decision_log", "The decision store's write-ahead log, in the data directory.", [&] {
    schema.size_bytes("segment_bytes", settings.segment_bytes, {.min = 1 << 20, .max = 4LL << 30},
                      "Length of one preallocated segment file.");
    const auto least = store::least_segment_bytes(settings.group.batch);
    schema.require(
        !settings.group.is_set() || settings.segment_bytes >= least, "segment_bytes",
        fmt::format("a group's largest entry needs segments of {} bytes, at every replica of it", least));
    schema.size_bytes("log_bytes", settings.log_bytes,
                      {.min = 4 << 20, .max = std::numeric_limits<std::int64_t>::max()},
                      "Past this size the oldest segment is cleaned: what lives is copied forward.");
  });
}

}  // namespace troth::coordinator
