#include "coordinator/runtime/replica.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "coordinator/runtime/replicas_service.h"
#include "thrift/gen/group_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kConnectionsOfOthers = 64;  // two of each, and what is left of old ones
constexpr std::uint32_t kAroundCall = 4096;
constexpr std::uint32_t kMessageBytes = 16U << 20;
constexpr Duration kProbeAfter = std::chrono::seconds(10);
constexpr Duration kAskAgain = std::chrono::seconds(5);

}  // namespace

Replica::Replica(asio::io_context& loop, Options options, Owner owner)
    : loop_(loop),
      options_(std::move(options)),
      owner_(std::move(owner)),
      self_{options_.settings.group.replica},
      start_{random_nonce()},
      alarm_(loop, [this] { store_->tick(); }) {}

Replica::~Replica() {
  close();
}

Result<std::unique_ptr<Replica>> Replica::open(asio::io_context& loop, Options options, rpc::Gate& gate,
                                               Owner owner) {
  std::unique_ptr<Replica> replica(new Replica(loop, std::move(options), std::move(owner)));
  if (auto opened = replica->open_links(); !opened) return std::unexpected(std::move(opened.error()));
  if (auto opened = replica->open_store(); !opened) return std::unexpected(std::move(opened.error()));
  replica->serve(gate);
  return replica;
}

Status Replica::open_links() {
  const auto& settings = options_.settings;
  for (const auto& other : settings.group.replicas) {
    const consensus::ReplicaId id{other.number};
    if (id == self_) continue;
    auto address = rpc::Address::parse(other.peer_address);
    if (!address) return std::unexpected(std::move(address.error()));
    PeerLink::Owner owner;
    owner.self = self_;
    owner.start = start_;
    owner.cluster = options_.cluster;
    owner.group = text_of(settings.group.beginning());
    owner.tls = options_.tls;
    owner.max_call_bytes = settings.max_frame_bytes;
    owner.max_calls = settings.max_calls;
    owner.max_unsent_bytes = 2 * settings.table.bytes + settings.max_frame_bytes;
    owner.on_up = [this] { owner_.on_change(); };
    owner.on_lost = [this, id] {
      if (store_) store_->peer_lost(id);
      owner_.on_change();
    };
    links_.emplace(id, std::make_unique<PeerLink>(loop_, id, *std::move(address), std::move(owner)));
  }
  return {};
}

Status Replica::open_store() {
  const auto& settings = options_.settings;
  store::GroupStoreOptions options;
  options.directory = options_.log_directory;
  options.cluster = options_.cluster;
  options.files = options_.files;
  options.segment_bytes = settings.segment_bytes;
  options.batch = settings.group.batch;
  options.snapshot_after_bytes = settings.log_bytes / 4;
  options.self = self_;
  for (const auto& [id, link] : links_)
    options.listed.insert(id);
  options.first = settings.group.beginning();
  options.start = start_;
  options.seed = random_nonce();
  options.post = [this](std::function<void()> action) { asio::post(loop_, std::move(action)); };
  options.now = boot_now;
  options.wake_at = [this](Instant at) { alarm_.set(at); };
  options.send = [this](consensus::ReplicaId to, std::string bytes) {
    const auto link = links_.find(to);
    if (link != links_.end()) link->second->send(std::move(bytes));
  };
  options.on_answers = [this](std::vector<store::Answered> answers) {
    owner_.on_answers(std::move(answers));
  };
  options.on_lead = [this](bool leads) {
    leads_ = leads;
    log_info(leads ? "leads the group" : "leads the group no longer", {{"replica", self_}});
    owner_.on_lead(leads);
    owner_.on_change();
  };
  options.on_leader = [this](std::optional<consensus::ReplicaId> leader) {
    leader_ = leader;
    if (leader && *leader != self_) log_info("follows", {{"leader", *leader}, {"replica", self_}});
    owner_.on_change();
  };
  options.on_failure = [this](const Error& error) { owner_.on_failure(error); };
  options.on_synced = [this](const txlog::SyncedBatch& batch) { owner_.on_synced(batch); };
  options.on_warning = [](const Error& error) { log_warning("decision log", {{"why", error.message}}); };
  auto store = store::GroupStore::open(std::move(options));
  if (!store) return std::unexpected(std::move(store.error()));
  store_ = *std::move(store);
  return {};
}

void Replica::serve(rpc::Gate& gate) {
  const auto& settings = options_.settings;
  rpc::ServerOptions options;
  options.tls = options_.tls;
  options.authorize = [&gate](const rpc::CallContext& call) { return gate.authorize(call); };
  options.max_connections = kConnectionsOfOthers;
  options.max_connections_per_caller = kConnectionsOfOthers;
  options.handshake_timeout = settings.handshake_timeout;
  options.max_calls = settings.max_calls;
  options.max_calls_per_connection = settings.max_calls;
  options.frame.max_frame_bytes = std::max(kMessageBytes, settings.max_frame_bytes + kAroundCall);
  // A machine that is gone leaves its connections here, and this side sends nothing that would show it.
  options.probe_silent_clients = kProbeAfter;
  // However many calls are passed on here: without these the leader would be taken for dead.
  options.is_exempt = [](std::string_view method) { return method == "deliver" || method == "greet"; };
  options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
    wire::from_error(error).write(&out);
  };
  options.on_trouble = [](const std::string& line) {
    static LogLimit limit;
    log_limited(limit, LogLevel::kWarning, "trouble between replicas", {{"what", line}});
  };
  server_ = std::make_unique<rpc::Server>(loop_, options);
  server_->add_service<wire::ReplicasAsyncProcessor>(std::make_shared<ReplicasService>(*this));
}

Result<rpc::Address> Replica::listen() {
  const auto& group = options_.settings.group;
  const auto* own = group.find(self_.value);
  auto address = rpc::Address::parse(group.listen.empty() ? own->peer_address : group.listen);
  if (!address) return std::unexpected(std::move(address.error()));
  return server_->listen(*address);
}

void Replica::close() {
  if (server_) server_->close();
  alarm_.stop();
}

std::optional<std::string> Replica::leader_address() const {
  if (!leader_) return std::nullopt;
  const auto* leader = options_.settings.group.find(leader_->value);
  if (leader == nullptr) return std::nullopt;
  return leader->address;
}

PeerLink* Replica::link_to_leader() {
  if (!leader_ || *leader_ == self_) return nullptr;
  const auto link = links_.find(*leader_);
  return link == links_.end() || !link->second->is_up() ? nullptr : link->second.get();
}

bool Replica::hand_over() {
  if (!leads_) return false;
  std::vector<consensus::ReplicaId> able;
  for (const auto& voter : store_->log().membership().newest().voters) {
    const auto link = links_.find(voter);
    if (link != links_.end() && link->second->is_up()) able.push_back(voter);
  }
  if (able.empty()) return false;
  const auto next = last_successor_ ? std::ranges::upper_bound(able, *last_successor_) : able.begin();
  last_successor_ = next == able.end() ? able.front() : *next;
  log_info("hands the lead over", {{"replica", self_}, {"to", *last_successor_}});
  store_->transfer_to(*last_successor_);
  return true;
}

// ---- what the others call

PeerLink* Replica::find(std::int32_t number) {
  const auto link = links_.find(consensus::ReplicaId{static_cast<std::uint32_t>(number)});
  return link == links_.end() ? nullptr : link->second.get();
}

bool Replica::is_who_answers_there(const PeerLink& link, std::int64_t start) const {
  return link.start() && static_cast<std::int64_t>(link.start()->value) == start;
}

Result<wire::ReplicaHello> Replica::greet(const wire::ReplicaHello& hello) {
  if (auto fits = rpc::check_hello(hello.hello, options_.cluster); !fits)
    return std::unexpected(std::move(fits.error()));
  const auto own = static_cast<std::int32_t>(self_.value);
  if (hello.hello.cluster != options_.cluster.value || hello.to != own) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format(
            "this is replica {} of {}, and replica {} of {} was called: is [[replicas]] the same list at "
            "both?",
            own, options_.cluster.value, hello.to, hello.hello.cluster));
  }
  const auto group = text_of(options_.settings.group.beginning());
  if (hello.group != group) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("replica {} says that the group began with {}, and replica {} with {}: "
                    "group.founders and its quorums must be the same at both, as they were at the beginning",
                    hello.replica, hello.group, own, group));
  }
  if (hello.replica == own) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("this is replica {} itself, and {} calls as that one, too: are there two with that "
                    "number?",
                    own, hello.hello.program));
  }
  auto* link = find(hello.replica);
  if (link == nullptr) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("[[replicas]] of replica {} does not name replica {}: add it there, and start it again",
                    own, hello.replica));
  }
  if (!link->is_up()) {
    link->knock();
  } else if (!is_who_answers_there(*link, hello.start)) {
    // It may have started again, and the connection to its earlier start not be broken yet.
    const auto now = boot_now();
    const auto [asked, first] = asked_again_.try_emplace(link->peer(), now);
    if (first || now - asked->second > kAskAgain) {
      asked->second = now;
      link->ask_again();
    }
    auto refused =
        fail(ErrorCode::kNotOwner, Effect::kNone,
             fmt::format("another process answers as replica {} at {}: are there two with that number, or is "
                         "its peer_address another one?",
                         hello.replica, link->address().text()));
    refused.error().retryable = true;
    return refused;
  }
  wire::ReplicaHello reply;
  reply.hello = rpc::hello_of("troth-coordinator", options_.cluster);
  reply.replica = own;
  reply.to = hello.replica;
  reply.start = static_cast<std::int64_t>(start_.value);
  reply.group = group;
  return reply;
}

void Replica::deliver(const wire::ReplicaMessage& message) {
  auto* link = find(message.replica);
  if (link == nullptr || !is_who_answers_there(*link, message.start)) {
    if (link != nullptr) link->knock();
    return;
  }
  if (auto taken = store_->receive(link->peer(), message.message); !taken) {
    static LogLimit limit;
    log_limited(limit, LogLevel::kWarning, "unreadable message",
                {{"replica", link->peer()}, {"why", taken.error().message}});
  }
}

void Replica::pass_on(const wire::PassedCall& call, std::function<void(Result<rpc::Bytes>)> done) {
  const auto* link = find(call.replica);
  if (link == nullptr) {
    return done(
        fail(ErrorCode::kNotOwner, Effect::kNone,
             fmt::format("[[replicas]] of replica {} does not name replica {}", self_.value, call.replica)));
  }
  if (!is_who_answers_there(*link, call.start)) {
    return done(fail(ErrorCode::kNotOwner, Effect::kNone,
                     fmt::format("who passed it on is not the process that answers as replica {} at {}",
                                 call.replica, link->address().text())));
  }
  std::optional<rpc::Caller> caller;
  if (options_.tls) {
    const auto* role =
        call.__isset.role ? std::ranges::find(rpc::kRoles, call.role, rpc::name_of) : rpc::kRoles.end();
    if (role == rpc::kRoles.end() || !call.__isset.name) {
      return done(fail(
          ErrorCode::kPermissionDenied, Effect::kNone,
          fmt::format("replica {} passed on a call of nobody: set tls.ca, tls.certificate and tls.key there, "
                      "too",
                      call.replica)));
    }
    caller = rpc::Caller{*role, call.name};
  }
  const auto header = rpc::read_message_header(
      {reinterpret_cast<const std::uint8_t*>(call.message.data()), call.message.size()});
  const std::string method = header ? std::string(header->method) : std::string();
  const auto peer = fmt::format("{} by replica {}", call.peer, call.replica);
  owner_.take_passed({method, peer, 0, caller ? &*caller : nullptr},
                     {reinterpret_cast<const std::uint8_t*>(call.message.data()), call.message.size()},
                     std::move(done));
}

}  // namespace troth::coordinator
