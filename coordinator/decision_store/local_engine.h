// coordinator/decision_store/local_engine.h
//
// The decision store of one coordinator: a record table and its own log. Pure: requests and the log's
// progress come in, appends and answers go out.
//
// [S4] An answer comes out only when every write that it speaks of is durable; also the write of another
//      request, whose record it merely found.
// A failed write makes everything unknown: what waits is answered so, and so is all that comes later. The log
// alone knows what became durable, and only a new start reads it.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/decision_store/decision_store.h"
#include "coordinator/decision_store/record_table.h"

namespace troth::coordinator::store {

class LocalEngine {
 public:
  // ---- inputs (a request is `Asked`)
  struct WritesDurable {
    WriteNumber through;
  };
  struct WriteFailed {
    Error reason;
  };
  // Old segments are to go: what is live and was last written before `cut` is to be written again.
  struct CleaningRequested {
    WriteNumber cut;
  };
  struct CleaningContinued {};
  using Input = std::variant<Asked, WritesDurable, WriteFailed, CleaningRequested, CleaningContinued>;

  // ---- effects
  struct Append {
    WriteNumber number;  // consecutive
    LogRecord record;
  };
  // More is to be copied: feed CleaningContinued when other work had its turn.
  struct ContinueCleaning {};
  // Every live record has a durable copy at or above `cut`.
  struct CutBelow {
    WriteNumber cut;
  };
  using Effect = std::variant<Append, Answered, ContinueCleaning, CutBelow>;

  // Replay, before the first step: every record of the log in its order, then `opened`.
  [[nodiscard]] Status restore(const LogRecord& record, WriteNumber written);
  [[nodiscard]] Status opened(WriteNumber next);

  [[nodiscard]] std::vector<Effect> step(Input input);

  [[nodiscard]] const RecordTable& records() const { return records_; }
  [[nodiscard]] bool cleaning() const { return cleaning_.has_value(); }

 private:
  struct Cleaning {
    WriteNumber cut;
    RecordTable::CopyCursor cursor;
    WriteNumber last_copy;
  };

  void ask(Asked asked, std::vector<Effect>& effects);
  void append(std::vector<LogRecord> records, std::vector<Effect>& effects);
  void release(std::vector<Effect>& effects);
  void fail_all(const Error& reason, std::vector<Effect>& effects);
  void clean(std::vector<Effect>& effects);

  RecordTable records_;
  WriteNumber next_{1};
  WriteNumber durable_;
  std::multimap<WriteNumber, Answered> waiting_;  // by the write that each depends on
  std::optional<Cleaning> cleaning_;
  std::optional<Error> failure_;
};

}  // namespace troth::coordinator::store
