// tests/sim/invariants/observer.h
//
// Watches a run: makes happenings of what the programs send, write and commit, and judges each at once.
#pragma once

#include <functional>
#include <string>

#include "tests/sim/core/witness.h"
#include "tests/sim/invariants/evidence.h"
#include "tests/sim/invariants/step_invariants.h"
#include "thrift/runtime/codec.h"

namespace troth::sim {

class Observer final : public Witness {
 public:
  // `coordinator`: whose log is the decision store; every other log is an agent's journal. `on_broken`: once, with the first
  // happening that broke something.
  Observer(const Node& coordinator, const Ledger& asked, std::function<void(const Broken&)> on_broken);

  void happened(const Happening& happening);
  [[nodiscard]] const Evidence& evidence() const { return evidence_; }
  [[nodiscard]] const Broken& broken() const { return broken_; }

  void called(const Node& program, std::string_view method, rpc::Bytes call) override;
  void answered(const Node& program, std::string_view method, rpc::Bytes call, rpc::Bytes answer) override;
  void log_opens(const Node& program) override;
  void record_found(const Node& program, const txlog::RecordView& record) override;
  void record_appended(const Node& program, const txlog::RecordView& record) override;
  void record_durable(const Node& program, const txlog::RecordView& record) override;

 private:
  template <typename OfStore, typename OfJournal>
  void record(const Node& program, const txlog::RecordView& record);
  // What a message of one of our own programs holds.
  template <typename Struct>
  Struct read(rpc::Bytes message);

  const Node& coordinator_;
  Evidence evidence_;
  Broken broken_;
  std::function<void(const Broken&)> on_broken_;
  rpc::MessageReader reader_;
};

}  // namespace troth::sim
