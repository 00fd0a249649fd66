// tests/sim/invariants/evidence.h
//
// What is known by now of a run, of everybody at once: the sum of what has happened. The invariants compare each new
// happening with it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/bank/ledger.h"
#include "tests/sim/invariants/happenings.h"

namespace troth::sim {

struct Evidence {
  explicit Evidence(const Ledger& asked) : ledger(&asked) {}

  void note(const Happening& happening);

  struct Decision {
    coordinator::store::CommitRecord record;
    bool durable = false;
  };
  struct Store {
    std::map<TransactionId, Decision> commits;
    std::set<TransactionId> ended;  // durable
    coordinator::store::Floors floors;
    std::map<ResourceNumber, ResourceName> resources;
    std::optional<Epoch> epoch;
    std::set<BranchId> resolutions;  // durable
    std::set<RequestKey> barred;
    // While a start reads, what it finds is not yet acted upon; what was durable before must be among it.
    std::map<TransactionId, Decision> owed;
    std::set<TransactionId> found_ended;
    bool reads = false;
    bool was_set_back = false;  // and has not been read since
  };
  struct Journal {
    std::optional<Epoch> epoch;
    std::optional<Epoch> newest;                 // durable once, by any start
    std::set<BranchId> learned;                  // commit, durable
    std::map<BranchId, agent::BranchEnd> ended;  // durable
  };
  // Of one transaction, by anybody who ever said so; never taken back.
  struct Truth {
    std::set<DatabaseNumber> yes;
    std::set<DatabaseNumber> read_only;
    bool decided = false;                     // a commit record was durable
    bool decision_lost = false;               // and went with the disk of an earlier moment
    std::set<DatabaseNumber> committed;       // a marker stood
    std::set<DatabaseNumber> never;           // a barrier stood, or a journal said that it was rolled back
    std::map<DatabaseNumber, bool> resolved;  // an operator ended the branch; true: committed it
    std::set<DatabaseNumber> lost;            // a restored database lacks what had committed, or voted yes
    std::set<DatabaseNumber> acknowledged;    // its agent told that it has committed, or that a hand has
    std::set<DatabaseNumber> barriers;        // stood there
    std::set<DatabaseNumber> ran;             // one-phase work came there
    std::set<DatabaseNumber> refused;         // its agent said that nothing of it stands, and nothing will
    bool abort_told = false;                  // to an agent, as the decision
    std::set<RequestKey> told_committed;
    std::set<RequestKey> told_not_committed;
    [[nodiscard]] bool is_committed() const { return decided || !committed.empty(); }
    // Where it is committed, as `reached` says: the databases in which a hand, or who restored one, has it otherwise.
    [[nodiscard]] std::set<std::size_t> ended_otherwise(const std::set<std::size_t>& reached) const;
    // A hand, or who restored a database, may have done otherwise than was decided.
    [[nodiscard]] bool is_heuristic() const { return !resolved.empty() || !lost.empty(); }
  };

  const Ledger* ledger;
  Store store;
  std::map<std::string, Journal> journals;
  std::map<DatabaseNumber, std::map<std::string, agent::MarkerRow>> markers;
  std::map<TransactionId, Truth> truths;
  std::map<RequestKey, std::set<TransactionId>> carried;  // committed, by request
  std::set<RequestKey> barred;
  std::set<RequestKey> bars_lost;
  std::set<BranchId> ended_by_hand;
  std::map<RequestKey, std::set<TransactionId>> attempts;
  std::set<std::string> damaged;  // agents whose journal ever lacked something
  // Set back, and no operator has let it be used yet.
  std::set<DatabaseNumber> set_back;
  std::set<DatabaseNumber> ever_set_back;

  [[nodiscard]] const Truth& truth(const TransactionId& transaction) const;
  [[nodiscard]] const Journal& journal(const std::string& agent) const;
  // The resource of this number, as the store knows it.
  [[nodiscard]] std::optional<DatabaseNumber> database(ResourceNumber number) const;

 private:
  void note_store(const coordinator::store::LogRecord& record, bool durable);
  void note_set_back(const DatabaseSetBack& restored);
  void note_store_set_back();
  void note_what_the_store_lost();
  void note_decided(const coordinator::store::CommitRecord& commit);
  void note_journal(const std::string& agent, const agent::JournalRecord& record);
};

// Resources are called r1, r2, .. as the databases stand.
[[nodiscard]] DatabaseNumber database_of(const ResourceName& resource);
// None: the row is a request's barrier.
[[nodiscard]] std::optional<TransactionId> transaction_of(const agent::MarkerRow& row);

}  // namespace troth::sim
