// coordinator/decision_store/record_table.h
//
// The applied state of a decision store: which records stand, and who holds which key. Every engine keeps one
// and feeds it the requests in one order; what it answers depends on that order alone.
//
// [S1] An older epoch than the newest is fenced.
// [S2] A record is applied whole or not at all: is one of its keys taken, nothing is written. Below the request floor nothing
//      is barred: that the key is free proves nothing there [T5].
// [S8] Only what is ended, and below both floors, leaves.
//
// Durability: none. Each reply names the log records to append and the write that it depends on; an engine
// releases it when that write is durable [S4].
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/decision_store/decision_store.h"

namespace troth::coordinator::store {

class RecordTable {
 public:
  struct Reply {
    StoreAnswer answer;
    std::vector<LogRecord> append;  // in this order, with consecutive write numbers
    WriteNumber depends_on;         // the newest write that the answer speaks of; zero: none
  };

  // Carries out one request. `next` is the number of the first record that the reply may append.
  [[nodiscard]] Reply apply(const Request& request, WriteNumber next);

  // Replay: takes a record that the log holds. Copies of one record are taken as one. Refuses (kCorrupt) what
  // contradicts an earlier record.
  [[nodiscard]] Status restore(const LogRecord& record, WriteNumber written);
  // After the last record: refuses (kCorrupt) if something was ended of which nothing else is known.
  [[nodiscard]] Status finish_restore();

  // Copy-forward cleaning, a piece at a time: the live records whose newest copy is older than `cut`. The
  // caller appends them with consecutive numbers from `next` on. Begin with a default cursor.
  struct CopyCursor {
    enum class Stage : std::uint8_t { kStanding, kTransactions, kBarred, kDone };
    Stage stage = Stage::kStanding;
    std::optional<Position> transaction;
    std::optional<RequestKey> barred;
  };
  [[nodiscard]] std::vector<LogRecord> copy_forward(CopyCursor& cursor, WriteNumber cut, WriteNumber next,
                                                    std::size_t visits);

  [[nodiscard]] const Epoch& epoch() const { return epoch_; }
  // EpochRecord::new_reign of the newest one.
  [[nodiscard]] EpochNumber new_reign() const;
  [[nodiscard]] const Floors& floors() const { return floors_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Transaction {
    std::unique_ptr<const PreCommitRecord> pre_commit;  // rare, and most transactions here are long over
    std::optional<StoredDecision> decision;
    WriteNumber written;     // the newest log record that speaks of it
    WriteNumber kept_since;  // the oldest one that it still needs: decision and end may lie far apart
  };
  struct Barred {
    BarredRecord record;
    WriteNumber written;
  };
  struct Resource {
    ResourceRecord record;
    WriteNumber written;
  };
  struct Reign {
    EpochRecord record;
    WriteNumber written;
  };
  // Request keys in the order of their own timestamps, so that a floor finds the oldest first.
  struct OlderRequestFirst {
    bool operator()(const RequestKey& a, const RequestKey& b) const {
      return a.id != b.id ? a.id < b.id : a.client < b.client;
    }
  };

  Reply acquire(const AcquireEpoch& request, WriteNumber next);
  Reply choose(const Choose& request, WriteNumber next);
  Reply lookup(const Lookup& request) const;
  Reply list(const List& request) const;
  Reply end(const End& request, WriteNumber next);
  Reply register_resource(const RegisterResource& request, WriteNumber next);
  Reply raise_floors(const RaiseFloors& request, WriteNumber next);
  Reply resolve(const Resolve& request, WriteNumber next);

  [[nodiscard]] std::optional<Reply> fence(EpochNumber epoch) const;
  [[nodiscard]] std::optional<Reply> taken(const Choosable& record) const;
  [[nodiscard]] std::optional<Reply> request_taken(const RequestKey& key) const;
  [[nodiscard]] std::optional<Reply> transaction_taken(const Choosable& record) const;
  [[nodiscard]] const Transaction* find(const TransactionId& id) const;
  void put(const Choosable& record, WriteNumber written);
  bool put_ended(const EndedRecord& record, WriteNumber written);
  void put_floors(const Floors& floors, WriteNumber written);
  void put_epoch(const EpochRecord& record, WriteNumber written);
  void put_resource(const ResourceRecord& record, WriteNumber written);
  void drop_below_floors();
  void drop_past_epochs();

  Status restore_choosable(const Choosable& record, WriteNumber written);

  Epoch epoch_;
  std::map<EpochNumber, Reign> reigns_;
  Floors floors_;
  WriteNumber floors_written_;
  Counts counts_;
  std::map<Position, Transaction> transactions_;
  std::map<RequestKey, Position, OlderRequestFirst> committed_requests_;
  std::map<RequestKey, Barred, OlderRequestFirst> barred_;
  std::map<ResourceName, Resource> resources_;
  std::uint32_t last_resource_number_ = 0;
  WriteNumber newest_;                                    // the last write that was applied
  std::map<Position, EndedRecord> ended_without_record_;  // only while replaying
};

}  // namespace troth::coordinator::store
