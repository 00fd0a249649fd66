// coordinator/runtime/reigns.h
//
// The reigns of this process, at most one at a time. A coordinator that is alone has one, for as long as it runs; a replica
// has one for each time that it leads its group.
//
//   none --begin()--> acquiring its epoch --durable--> serving --end()--> none
//                          '------------ Fenced, no epoch -----------------^
//
// What the store answers to an earlier reign is kept from the next: each has tickets of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/runtime/lifetime.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/runtime/coordinator.h"

namespace troth::coordinator {

class Reigns {
 public:
  struct Owner {
    std::function<void()> on_serving;
    // A reign ended by itself: another one rules, or the store gave no epoch. It is gone when this is called.
    std::function<void(const Error&)> on_over;
    std::function<void()> on_drained;  // behind shut_down()
  };

  Reigns(asio::io_context& loop, ClusterId cluster, const CoordinatorSettings& settings,
         std::shared_ptr<Metrics> metrics, rpc::TlsPointer tls, Owner owner);
  ~Reigns();
  Reigns(const Reigns&) = delete;
  Reigns& operator=(const Reigns&) = delete;

  // In place of a reign that there is.
  void begin(store::DecisionStore& store);
  // Answers everything that waits. Without a reign: nothing happens.
  void end(const Error& why);
  void store_answered(std::vector<store::Answered> answers);
  // Without a reign, on_drained comes at once.
  void shut_down(Duration grace);

  // A ticket that no reign gives: of whoever else asks the same store.
  [[nodiscard]] static bool is_of_no_reign(store::Ticket ticket);

  [[nodiscard]] const ClusterId& cluster() const { return cluster_; }
  [[nodiscard]] bool serves() const { return serves_; }
  // Only while it serves.
  [[nodiscard]] Coordinator& serving() const;
  // Null: there is none. It may not have its epoch yet.
  [[nodiscard]] Coordinator* current() const { return current_.get(); }

 private:
  class OwnTickets;

  asio::io_context& loop_;
  ClusterId cluster_;
  CoordinatorSettings settings_;
  std::shared_ptr<Metrics> metrics_;
  rpc::TlsPointer tls_;
  Owner owner_;
  std::uint64_t number_ = 0;  // of the reign, in this process
  std::unique_ptr<OwnTickets> tickets_;
  std::unique_ptr<Coordinator> current_;
  bool serves_ = false;
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
