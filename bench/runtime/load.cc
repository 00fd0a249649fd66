#include "bench/runtime/load.h"

#include <algorithm>

#include "base/check.h"

namespace troth::bench {
namespace {

constexpr int kWarmUpTransfers = 20;

Duration since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

Load::Load(const LoadOptions& options, OpenTeller open_teller)
    : options_(options),
      open_teller_(std::move(open_teller)),
      clients_(static_cast<std::size_t>(options.clients)),
      warm_(options.clients) {}

Load::~Load() {
  stop_ = true;
  let_go();
}

Status Load::warm_up() {
  int number = 0;
  for (Client& client : clients_)
    client.thread = std::thread([this, &client, number = ++number] { work(client, number); });
  warm_.wait();
  return first_error();
}

Result<LoadResult> Load::run() {
  CHECK(!let_go_, "run() was called before");
  let_go();
  if (const Status status = first_error(); !status) return std::unexpected(status.error());
  LoadResult total;
  total.began = began_;
  for (const Client& client : clients_) {
    const LoadResult& part = client.result;
    total.latencies.insert(total.latencies.end(), part.latencies.begin(), part.latencies.end());
    total.conflicts += part.conflicts;
    total.moved += part.moved;
  }
  return total;
}

// Opens the gate and waits until every client has gone home.
void Load::let_go() {
  if (!let_go_) {
    let_go_ = true;
    began_ = std::chrono::steady_clock::now();
    start_.count_down();
  }
  for (Client& client : clients_)
    if (client.thread.joinable()) client.thread.join();
}

Status Load::first_error() const {
  for (const Client& client : clients_)
    if (!client.status) return client.status;
  return {};
}

void Load::work(Client& client, int number) {
  Random random(options_.seed * 1000 + static_cast<std::uint64_t>(number));
  auto teller = open_teller_(number);
  if (!teller) client.status = std::unexpected(teller.error());
  Duration latency{};
  for (int i = 0; i < kWarmUpTransfers && client.status && !stop_; ++i)
    client.status = transfer(client, **teller, random, latency);
  client.result.conflicts = 0;
  if (!client.status) stop_ = true;
  warm_.count_down();

  start_.wait();
  while (client.status && !stop_ && since(began_) < options_.length) {
    client.status = transfer(client, **teller, random, latency);
    if (client.status) client.result.latencies.push_back(latency);
  }
  if (!client.status) stop_ = true;  // the others need not go on
}

Status Load::transfer(Client& client, Teller& teller, Random& random, Duration& latency) {
  const Transfer transfer = draw_transfer(random, options_.accounts);
  const auto begin = std::chrono::steady_clock::now();
  const auto conflicts = teller.transfer(transfer);
  latency = since(begin);
  if (!conflicts) return std::unexpected(conflicts.error());
  client.result.conflicts += static_cast<std::uint64_t>(*conflicts);
  client.result.moved += transfer.amount;
  return {};
}

}  // namespace troth::bench
