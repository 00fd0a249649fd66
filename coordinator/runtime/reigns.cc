#include "coordinator/runtime/reigns.h"

#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/check.h"
#include "base/runtime/entropy.h"
#include "base/runtime/log.h"

namespace troth::coordinator {
namespace {

// No reign asks so often.
constexpr unsigned kTicketBits = 40;

}  // namespace

// The store as one reign sees it.
class Reigns::OwnTickets final : public store::DecisionStore {
 public:
  OwnTickets(store::DecisionStore& store, std::uint64_t reign)
      : store_(store), first_(reign << kTicketBits) {}

  void submit(std::vector<store::Asked> requests) override {
    for (auto& asked : requests)
      asked.ticket.value += first_;
    store_.submit(std::move(requests));
  }

  // Whether it is an answer to this reign; its ticket is the reign's own then.
  [[nodiscard]] bool take(store::Answered& answered) const {
    if (answered.ticket.value >> kTicketBits != first_ >> kTicketBits) return false;
    answered.ticket.value -= first_;
    return true;
  }

 private:
  store::DecisionStore& store_;
  const std::uint64_t first_;
};

Reigns::Reigns(asio::io_context& loop, ClusterId cluster, const CoordinatorSettings& settings,
               std::shared_ptr<Metrics> metrics, rpc::TlsPointer tls, Owner owner)
    : loop_(loop),
      cluster_(std::move(cluster)),
      settings_(settings),
      metrics_(std::move(metrics)),
      tls_(std::move(tls)),
      owner_(std::move(owner)) {}

Reigns::~Reigns() = default;

void Reigns::begin(store::DecisionStore& store) {
  CHECK(current_ == nullptr, "a reign begins beside another one");
  ++number_;
  Coordinator::Events events;
  events.on_serving = [this] {
    serves_ = true;
    owner_.on_serving();
  };
  // Its answers are being carried out just now.
  events.on_stop = [this, number = number_](const Error& error) {
    serves_ = false;
    asio::post(loop_, lifetime_.guard([this, number, error] {
      if (number != number_ || current_ == nullptr) return;
      end(error);
      owner_.on_over(error);
    }));
  };
  events.on_drained = [this, number = number_] {
    asio::post(loop_, lifetime_.guard([this, number] {
      if (number == number_ && current_ != nullptr) owner_.on_drained();
    }));
  };
  tickets_ = std::make_unique<OwnTickets>(store, number_);
  current_ = std::make_unique<Coordinator>(loop_, cluster_, settings_, std::move(events), metrics_, tls_);
  current_->start(*tickets_, Nonce{random_nonce()});
}

void Reigns::end(const Error& why) {
  if (current_ == nullptr) return;
  serves_ = false;
  log_info("reign ends", {{"why", why.message}});
  // Gone for everybody before its calls are answered: who asks again meets the next one.
  std::shared_ptr<Coordinator> ended = std::move(current_);
  ended->abandon(why);
  // Behind what its links posted when they were closed, which calls it once more.
  asio::post(loop_, [&loop = loop_, ended, tickets = std::shared_ptr<OwnTickets>(std::move(tickets_))] {
    asio::post(loop, [ended, tickets] {});
  });
}

void Reigns::store_answered(std::vector<store::Answered> answers) {
  for (auto& answered : answers) {
    if (current_ == nullptr) return;
    if (tickets_->take(answered)) current_->store_answered(std::move(answered));
  }
}

// The first reign's number is 1.
bool Reigns::is_of_no_reign(store::Ticket ticket) {
  return ticket.value >> kTicketBits == 0;
}

void Reigns::shut_down(Duration grace) {
  if (current_ == nullptr) return owner_.on_drained();
  current_->shut_down(grace);
}

Coordinator& Reigns::serving() const {
  CHECK(serves_ && current_ != nullptr, "a call is served without a reign");
  return *current_;
}

}  // namespace troth::coordinator
