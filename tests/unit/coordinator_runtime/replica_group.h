// tests/unit/coordinator_runtime/replica_group.h
//
// Replicas of one group on one event loop, with real sockets on loopback and logs on disk. The loop runs only while the test
// waits for something, so that the test may look at everything between two waits.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>

#include "base/check.h"
#include "coordinator/runtime/replica.h"
#include "tests/support/in_process_servers.h"
#include "tests/support/temporary_directory.h"
#include "thrift/address.h"

namespace troth::coordinator {

inline const ClusterId kGroupsCluster{"bank-x7k2p9"};

// An event loop that the test's own thread runs, for as long as it waits.
class OwnLoop {
 public:
  [[nodiscard]] asio::io_context& loop() { return loop_; }
  // False: it does not hold after twenty seconds.
  template <typename Condition>
  [[nodiscard]] bool run_until(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      run_once();
    }
    return true;
  }
  // Whether it still holds when so much time has passed.
  template <typename Condition>
  [[nodiscard]] bool holds_for(Duration time, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      if (!condition()) return false;
      run_once();
    }
    return condition();
  }

 private:
  void run_once() {
    if (loop_.stopped()) loop_.restart();
    loop_.run_one_for(std::chrono::milliseconds(5));
  }
  asio::io_context loop_{1};
};

inline rpc::Address address_of(const std::string& text) {
  const auto address = rpc::Address::parse(text);
  CHECK(address.has_value());
  return *address;
}

// Of a group of so many, on free ports; with small segments.
inline CoordinatorSettings group_settings(std::uint32_t replicas) {
  CoordinatorSettings settings;
  for (std::uint32_t number = 1; number <= replicas; ++number)
    settings.group.replicas.push_back({number, free_loopback_address(), free_loopback_address()});
  settings.group.batch.request_bytes = settings.group.batch.bytes = std::size_t{64} << 10;
  settings.segment_bytes = store::least_segment_bytes(settings.group.batch);
  return settings;
}

class ReplicaGroup : public OwnLoop {
 public:
  explicit ReplicaGroup(std::uint32_t replicas) : settings_(group_settings(replicas)) {}

  // What one hears of its replica; set by the test before it starts.
  struct Member {
    std::function<void(bool)> on_lead = [](bool) {};
    std::function<void()> on_change = [] {};
    std::function<void(std::vector<store::Answered>)> on_answers = [](const auto&) {};
    std::function<void(const rpc::CallContext&, rpc::Bytes, rpc::Server::Passed)> take_passed;
    std::optional<Error> failure;
    std::unique_ptr<Replica> replica;
  };

  [[nodiscard]] Member& member(std::uint32_t number) { return members_[number]; }
  [[nodiscard]] Replica& replica(std::uint32_t number) {
    CHECK(members_[number].replica != nullptr, "replica {} does not run", number);
    return *members_[number].replica;
  }
  [[nodiscard]] CoordinatorSettings& settings() { return settings_; }
  [[nodiscard]] CoordinatorSettings settings_of(std::uint32_t number) const {
    auto settings = settings_;
    settings.group.replica = number;
    return settings;
  }
  [[nodiscard]] rpc::Address peer_address(std::uint32_t number) const {
    return address_of(settings_.group.find(number)->peer_address);
  }

  void start(std::uint32_t number) {
    auto& one = members_[number];
    Replica::Options options;
    options.settings = settings_of(number);
    options.cluster = kGroupsCluster;
    options.log_directory = directory_.file(std::to_string(number));
    Replica::Owner owner;
    owner.on_answers = [&one](std::vector<store::Answered> answers) { one.on_answers(std::move(answers)); };
    owner.on_lead = [&one](bool leads) { one.on_lead(leads); };
    owner.on_change = [&one] { one.on_change(); };
    owner.on_failure = [&one](const Error& error) { one.failure = error; };
    owner.on_synced = [](const txlog::SyncedBatch&) {};
    owner.take_passed = [&one](const rpc::CallContext& call, rpc::Bytes content, rpc::Server::Passed done) {
      CHECK(one.take_passed != nullptr, "'{}' is passed on to a replica that expects nothing", call.method);
      one.take_passed(call, content, std::move(done));
    };
    auto opened = Replica::open(loop(), std::move(options), gate_, std::move(owner));
    CHECK(opened.has_value(), "{}", opened.error().message);
    one.replica = *std::move(opened);
    const auto listening = one.replica->listen();
    CHECK(listening.has_value(), "{}", listening.error().message);
  }
  void start_all() {
    for (const auto& each : settings_.group.replicas)
      start(each.number);
  }
  void stop(std::uint32_t number) { members_[number].replica.reset(); }

  [[nodiscard]] std::optional<std::uint32_t> leader() {
    for (const auto& [number, one] : members_)
      if (one.replica && one.replica->leads()) return number;
    return std::nullopt;
  }
  // One leads, everybody who runs knows it, and all that run reach each other.
  [[nodiscard]] bool is_together() {
    const auto leads = leader();
    std::size_t running = 0;
    for (const auto& [number, one] : members_)
      if (one.replica) ++running;
    for (const auto& [number, one] : members_) {
      if (!one.replica) continue;
      if (!leads || one.replica->leader() != consensus::ReplicaId{*leads}) return false;
      std::size_t up = 0;
      for (const auto& [id, link] : one.replica->links())
        if (link->is_up()) ++up;
      if (up + 1 != running) return false;
    }
    return running > 0;
  }
  [[nodiscard]] bool come_together() {
    return run_until([this] { return is_together(); });
  }
  // Any that does not lead.
  [[nodiscard]] std::uint32_t follower() {
    for (const auto& [number, one] : members_)
      if (one.replica && !one.replica->leads()) return number;
    CHECK(false, "nobody follows");
  }

 private:
  TemporaryDirectory directory_;
  CoordinatorSettings settings_;
  rpc::Gate gate_{std::string()};
  std::map<std::uint32_t, Member> members_;
};

}  // namespace troth::coordinator
