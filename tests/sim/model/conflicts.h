// tests/sim/model/conflicts.h
//
// Postgres' SERIALIZABLE: two branches of which each has read what the other writes do not both prepare or commit.
// Circles of three and more, and reads of ranges, are not seen; a real server refuses more. A crash forgets all of it,
// also of what is prepared, where a real server then refuses more, too.
//
// Source: Ports, Grittner, "Serializable Snapshot Isolation in PostgreSQL" 2012, for circles of two.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "tests/sim/model/rows.h"

namespace troth::sim {

class Conflicts {
 public:
  void begin(TransactionNumber number, CommitNumber snapshot);
  void read(TransactionNumber number, const RowKey& key);
  void write(TransactionNumber number, const RowKey& key);
  // Would it close a circle with one that cannot be refused any more?
  [[nodiscard]] bool is_refused(TransactionNumber number) const;
  // Prepared: from here on the others are refused.
  void settle(TransactionNumber number);
  void commit(TransactionNumber number, CommitNumber at);
  void roll_back(TransactionNumber number);

 private:
  struct Trace {
    CommitNumber snapshot;
    std::set<RowKey> reads;
    std::set<RowKey> writes;
    bool settled = false;
    std::optional<CommitNumber> committed;
  };
  // Who has committed matters as long as anybody is there who does not see it.
  void forget_what_everybody_sees();

  std::map<TransactionNumber, Trace> traces_;
};

}  // namespace troth::sim
