#include "recovery/runtime/offline_store.h"

#include <functional>
#include <optional>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/check.h"
#include "coordinator/decision_store/runtime/local_store.h"

namespace troth::recovery {

namespace store = coordinator::store;

struct OfflineStore::Running {
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  std::unique_ptr<store::LocalStore> store;
  std::uint64_t last_ticket = 0;
  std::optional<store::StoreAnswer> answer;
};

OfflineStore::OfflineStore() : running_(std::make_unique<Running>()) {}

OfflineStore::~OfflineStore() {
  running_->store.reset();
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::open(const DataDirectory& data) {
  std::unique_ptr<OfflineStore> offline(new OfflineStore);
  auto& running = *offline->running_;
  store::LocalStoreOptions options;
  options.directory = data.log_path();
  options.cluster = data.identity().cluster;
  options.post = [&running](std::function<void()> work) { asio::post(running.loop, std::move(work)); };
  options.on_answers = [&running](std::vector<store::Answered> answers) {
    for (auto& answered : answers) {
      if (answered.ticket.value == running.last_ticket) running.answer = std::move(answered.answer);
    }
  };
  auto opened = store::LocalStore::open(std::move(options));
  if (!opened) return std::unexpected(std::move(opened.error()));
  running.store = std::move(*opened);
  return offline;
}

store::StoreAnswer OfflineStore::ask(store::Request request) {
  auto& running = *running_;
  running.answer.reset();
  running.store->submit({{store::Ticket{++running.last_ticket}, std::move(request)}});
  // A failed log answers too, with Unknown.
  while (!running.answer)
    CHECK(running.loop.run_one() == 1);
  return std::move(*running.answer);
}

}  // namespace troth::recovery
