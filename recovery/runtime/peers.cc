#include "recovery/runtime/peers.h"

#include <sstream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/version.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/tls.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

constexpr std::int32_t kContractVersion = 1;
// Of several coordinators one that is silent costs so much.
constexpr Duration kAnyPatience = std::chrono::seconds(2);

wire::Hello own_hello() {
  wire::Hello hello;
  hello.version = kContractVersion;
  hello.program = fmt::format("troth {}", troth_version());
  return hello;
}

Status check_hello(const Result<wire::Hello>& hello, const rpc::Address& server) {
  if (!hello) return std::unexpected(hello.error());
  if (hello->version == kContractVersion) return {};
  return fail(
      ErrorCode::kUnavailable, Effect::kNone,
      fmt::format("{} at {} speaks version {} of the contract, and this tool version {}: use the tool of "
                  "its release",
                  hello->program, server.text(), hello->version, kContractVersion));
}

template <typename HelloMethod>
rpc::ChannelOptions greeting(const Surroundings& around, rpc::Role server) {
  rpc::ChannelOptions options;
  options.tls = around.tls;
  options.judge_server = rpc::expect_role(server);
  options.greet = [](rpc::Channel& channel, rpc::Greeted greeted) {
    channel.call_in_greeting<HelloMethod>(own_hello(), std::chrono::seconds(5),
                                          [&channel, done = std::move(greeted)](Result<wire::Hello> hello) {
                                            done(check_hello(hello, channel.server()));
                                          });
  };
  return options;
}

// Of those that were named; each is asked in turn.
Result<rpc::Address> one_that_answers(const Surroundings& around) {
  std::string troubles;
  std::istringstream list(around.coordinator);
  for (std::string text; std::getline(list, text, ',');) {
    auto address = rpc::Address::parse(text);
    if (!address) return address;
    rpc::BlockingChannel channel(*address, greeting_of_coordinator(around));
    const auto hello = channel.call<wire::Transactions_hello>(own_hello(), kAnyPatience);
    if (hello) return address;
    troubles += fmt::format("{}{}", troubles.empty() ? "" : "; ", hello.error().message);
  }
  return fail(ErrorCode::kUnavailable, Effect::kNone,
              fmt::format("none of the coordinators answers: {}", troubles));
}

}  // namespace

std::string Surroundings::client_name(const std::string& given) const {
  if (!given.empty()) return given;
  return tls ? tls->own().name : "troth";
}

Result<rpc::Address> coordinator_at(const Surroundings& around) {
  if (around.coordinator.empty()) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                "no coordinator was named: give --coordinator HOST:PORT, or set TROTH_COORDINATOR");
  }
  if (around.coordinator.find(',') == std::string::npos) return rpc::Address::parse(around.coordinator);
  return one_that_answers(around);
}

rpc::ChannelOptions greeting_of_coordinator(const Surroundings& around) {
  return greeting<wire::Transactions_hello>(around, rpc::Role::kCoordinator);
}

Result<Peer> channel_to_coordinator(const Surroundings& around) {
  auto coordinator = coordinator_at(around);
  if (!coordinator) return std::unexpected(std::move(coordinator.error()));
  return std::make_unique<rpc::BlockingChannel>(std::move(*coordinator), greeting_of_coordinator(around));
}

Result<Peer> channel_to_agent(const std::string& text, const Surroundings& around) {
  auto address = rpc::Address::parse(text);
  if (!address) return std::unexpected(std::move(address.error()));
  return std::make_unique<rpc::BlockingChannel>(std::move(*address),
                                                greeting<wire::Agent_agent_hello>(around, rpc::Role::kAgent));
}

}  // namespace troth::recovery
