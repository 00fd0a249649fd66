// tests/sim/invariants/observer.h
//
// Watches a run: makes happenings of what the programs send, write and commit, and judges each at once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/core/witness.h"
#include "tests/sim/invariants/evidence.h"
#include "tests/sim/invariants/group_memory.h"
#include "tests/sim/invariants/step_invariants.h"
#include "thrift/runtime/codec.h"

namespace troth::sim {

class Observer final : public Witness {
 public:
  // `coordinators`: whose logs are the decision store; every other log is an agent's journal. `group`: by what they are a
  // group, the first of them replica 1; none: there is one, with a store of its own. `on_broken`: once, with the first
  // happening that broke something. `on_rare`: told of situations that a run is worth something for.
  Observer(std::vector<const Node*> coordinators, std::optional<coordinator::consensus::Configuration> group,
           const Ledger& asked, std::function<void(const Broken&)> on_broken,
           std::function<void(std::string_view)> on_rare);

  void happened(const Happening& happening);
  [[nodiscard]] const Evidence& evidence() const { return evidence_; }
  [[nodiscard]] const Broken& broken() const { return broken_; }
  // Null: there is no group.
  void replica_set_back(const Node& coordinator, std::uint64_t since);
  [[nodiscard]] const GroupMemory* group() const { return group_ ? &*group_ : nullptr; }

  void called(const Node& program, std::string_view method, rpc::Bytes call) override;
  void answered(const Node& program, std::string_view method, rpc::Bytes call, rpc::Bytes answer) override;
  void log_opens(const Node& program) override;
  void log_cut(const Node& program) override;
  void record_found(const Node& program, const txlog::RecordView& record) override;
  void record_appended(const Node& program, const txlog::RecordView& record) override;
  void record_durable(const Node& program, const txlog::RecordView& record) override;

 private:
  template <typename OfStore, typename OfJournal>
  void record(const Node& program, const txlog::RecordView& record);
  // What a message of one of our own programs holds.
  template <typename Struct>
  Struct read(rpc::Bytes message);

  // Which of the coordinators it is, from 1 on; zero: none.
  [[nodiscard]] std::uint32_t number_of(const Node& program) const;
  void noted(Broken broken);
  void chosen(const GroupMemory::Chosen& records);
  void attempted(const RequestKey& request, const TransactionId& transaction);

  std::vector<const Node*> coordinators_;
  std::optional<GroupMemory> group_;
  Evidence evidence_;
  Broken broken_;
  std::function<void(const Broken&)> on_broken_;
  std::function<void(std::string_view)> on_rare_;
  rpc::MessageReader reader_;
};

}  // namespace troth::sim
