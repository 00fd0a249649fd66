#include "tests/unit/commit_path/group_of_coordinators.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/unit/commit_path/world.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using namespace std::chrono_literals;

rpc::Address parsed(const std::string& text) {
  const auto address = rpc::Address::parse(text);
  CHECK(address.has_value());
  return *address;
}

}  // namespace

GroupOfCoordinators::GroupOfCoordinators() {
  for (const auto* resource : {"till", "vault", "ledger"}) {
    DoNothingOptions database;
    database.ties = std::string(resource) == "vault";
    database.blocking_statement = kBlock;
    database.refused_statement = kRefuse;
    databases_.emplace(resource, std::make_shared<DoNothingDatabase>(database));
  }
  std::vector<coordinator::ReplicaSettings> replicas;
  std::vector<std::string> addresses;
  for (std::uint32_t number = 1; number <= kReplicas; ++number) {
    replicas.push_back({number, free_loopback_address(), free_loopback_address()});
    addresses.push_back(replicas.back().address);
  }
  for (const auto& replica : replicas) {
    const auto own = directory_.file(std::to_string(replica.number));
    std::filesystem::create_directory(own);
    auto options = coordinator_options(own);
    options.audit_path = own + "/audit.log";
    auto& settings = options.settings;
    settings.listen = replica.address;
    settings.group.replica = replica.number;
    settings.group.replicas = replicas;
    // A replica that a sanitizer keeps waiting is no dead one.
    settings.group.lease = 300ms;
    settings.group.patience = 10s;
    settings.group.batch.request_bytes = settings.group.batch.bytes = std::size_t{64} << 10;
    settings.segment_bytes = coordinator::store::least_segment_bytes(settings.group.batch);
    coordinators_.emplace(replica.number, std::make_unique<InProcessCoordinator>(std::move(options)));
  }
  const auto agent = [&](const std::string& name,
                         std::map<std::string, std::shared_ptr<DoNothingDatabase>> resources) {
    auto options = agent_options(name, directory_.path(), addresses.front(), std::move(resources));
    options.settings.coordinators = addresses;
    return std::make_unique<InProcessAgent>(std::move(options));
  };
  left_ = agent("left", {{"till", databases_.at("till")}, {"vault", databases_.at("vault")}});
  right_ = agent("right", {{"ledger", databases_.at("ledger")}});
}

rpc::Address GroupOfCoordinators::address(std::uint32_t number) const {
  return parsed(coordinators_.at(number)->options().settings.group.find(number)->address);
}

rpc::Address GroupOfCoordinators::peer_address(std::uint32_t number) const {
  return parsed(coordinators_.at(number)->options().settings.group.find(number)->peer_address);
}

void GroupOfCoordinators::start() {
  for (auto& [number, coordinator] : coordinators_)
    coordinator->start();
  left_->start();
  right_->start();
}

Result<wire::GroupStatus> GroupOfCoordinators::status(std::uint32_t number) {
  return rpc::BlockingChannel(address(number)).call<wire::Administration_group_status>(5s);
}

std::optional<std::uint32_t> GroupOfCoordinators::leader() {
  std::optional<std::uint32_t> leader;
  bool serves = false;
  for (const auto& [number, coordinator] : coordinators_) {
    if (!coordinator->is_running()) continue;
    const auto told = status(number);
    if (!told || !told->__isset.leader) return std::nullopt;
    const auto named = static_cast<std::uint32_t>(told->leader);
    if (leader && leader != named) return std::nullopt;
    leader = named;
    serves = serves || (number == named && told->serves);
  }
  return serves ? leader : std::nullopt;
}

std::uint32_t GroupOfCoordinators::follower() {
  const auto leads = leader();
  for (std::uint32_t number = 1; number <= kReplicas; ++number)
    if (runs(number) && leads && number != *leads) return number;
  CHECK(false, "nobody follows");
}

bool GroupOfCoordinators::serves() {
  if (!leader()) return false;
  for (const auto& [number, coordinator] : coordinators_) {
    if (!coordinator->is_running()) continue;
    const auto told = Teller(address(number)).cluster_status();
    if (!told || told->resources.size() != databases_.size() ||
        !std::ranges::all_of(told->resources,
                             [](const auto& r) { return r.connected && r.health.state == "serving"; }))
      return false;
  }
  return true;
}

Result<wire::GroupStatus> GroupOfCoordinators::transfer(std::uint32_t asked, std::uint32_t to) {
  wire::TransferLeadRequest request;
  request.to = static_cast<std::int32_t>(to);
  request.reason = "a test";
  request.operator_name = "tester";
  return rpc::BlockingChannel(address(asked)).call<wire::Administration_transfer_lead>(request, 30s);
}

std::string GroupOfCoordinators::what_is_left() {
  const auto leads = leader();
  if (!leads) return "nobody leads; ";
  Teller teller(address(*leads));
  const auto status = teller.cluster_status();
  if (!status) return status.error().message;
  const auto report = teller.in_doubt();
  if (!report) return report.error().message;
  std::string left;
  if (status->open_transactions > 0) left += fmt::format("{} open transactions; ", status->open_transactions);
  for (const auto& branch : report->branches)
    left += fmt::format("{}.{} in {} is {}; ", branch.transaction_id, branch.branch, branch.resource,
                        branch.state);
  for (const auto& agent : report->unreachable_agents)
    left += fmt::format("agent {} is out of reach; ", agent);
  for (const auto& [resource, database] : databases_)
    if (database->unfinished() > 0) left += fmt::format("{} in {}; ", database->unfinished(), resource);
  return left;
}

}  // namespace troth
