#include "tests/unit/commit_path/world.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth {

World::World(WorldOptions options) {
  for (const auto* resource : {"till", "vault", "ledger"}) {
    DoNothingOptions database;
    database.ties = std::string(resource) == "vault";
    database.blocking_statement = kBlock;
    database.refused_statement = kRefuse;
    database.lose_an_ending_in = options.lose_an_ending_in;
    databases_.emplace(resource, std::make_shared<DoNothingDatabase>(database));
  }
  auto coordinator = coordinator_options(directory_.path());
  coordinator.files = options.coordinator_files;
  const auto listens = coordinator.settings.listen;
  coordinator_ = std::make_unique<InProcessCoordinator>(std::move(coordinator));
  left_ = std::make_unique<InProcessAgent>(
      agent_options("left", directory_.path(), listens,
                    {{"till", databases_.at("till")}, {"vault", databases_.at("vault")}}));
  right_ = std::make_unique<InProcessAgent>(
      agent_options("right", directory_.path(), listens, {{"ledger", databases_.at("ledger")}}));
}

rpc::Address World::address() const {
  const auto address = rpc::Address::parse(coordinator_->options().settings.listen);
  CHECK(address.has_value());
  return *address;
}

void World::start() {
  coordinator_->start();
  left_->start();
  right_->start();
}

bool World::serves() {
  const auto status = Teller(address()).cluster_status();
  return status && status->resources.size() == databases_.size() &&
         std::ranges::all_of(status->resources,
                             [](const auto& r) { return r.connected && r.health.state == "serving"; });
}

bool World::is_quiet() {
  return what_is_left().empty();
}

std::string World::what_is_left() {
  Teller teller(address());
  const auto status = teller.cluster_status();
  if (!status) return status.error().message;
  const auto report = teller.in_doubt();
  if (!report) return report.error().message;
  std::string left;
  if (status->open_transactions > 0) left += fmt::format("{} open transactions; ", status->open_transactions);
  for (const auto& open : report->transactions)
    left += fmt::format("{} is {}; ", open.transaction_id, wire::to_string(open.state));
  for (const auto& branch : report->branches)
    left += fmt::format("{}.{} in {} is {} and waits for {}; ", branch.transaction_id, branch.branch,
                        branch.resource, branch.state, branch.waiting_for);
  for (const auto& agent : report->unreachable_agents)
    left += fmt::format("agent {} is out of reach; ", agent);
  for (const auto& [resource, database] : databases_)
    if (database->unfinished() > 0) left += fmt::format("{} in {}; ", database->unfinished(), resource);
  return left;
}

}  // namespace troth
