#include "tests/sim/model/refusals.h"

#include <string_view>

#include <fmt/format.h>

namespace troth::sim {

using namespace agent;

namespace {

struct Codes {
  std::string_view postgres;
  std::int32_t innodb;
  std::string_view innodb_state;
  std::string_view words;
};

Codes codes_of(DatabaseKind kind, Fault fault) {
  const bool mariadb = kind == DatabaseKind::kMariadb;
  switch (fault) {
    case Fault::kDuplicateKey: return {"23505", 1062, "23000", "the key is taken"};
    case Fault::kCheckViolated:
      return {"23514", mariadb ? 4025 : 3819, mariadb ? "23000" : "HY000", "a constraint is violated"};
    case Fault::kLockTimeout: return {"55P03", 1205, "HY000", "it waited for a lock in vain"};
    case Fault::kDeadlock: return {"40P01", 1213, "40001", "deadlock"};
    case Fault::kSerialization: return {"40001", 1020, "HY000", "a row was changed by another transaction"};
    case Fault::kCancelled: return {"57014", 1317, "70100", "the statement was cancelled"};
    case Fault::kUnknownXid: return {"42704", 1397, "XAE04", "no prepared branch of this name"};
    case Fault::kDuplicateXid: return {"42710", 1440, "XAE08", "a branch of this name is there already"};
    case Fault::kXidBusy: return {"55000", 1399, "XAE07", "the prepared branch is busy"};
    case Fault::kNoSlot: return {"53200", 1203, "42000", "maximum number of prepared transactions reached"};
    case Fault::kDoomed: return {"25P02", 1402, "XA100", "the branch can only roll back"};
    case Fault::kReadOnlyTransaction: return {"25006", 1792, "25006", "the transaction is read-only"};
    case Fault::kReadOnlyServer: return {"25006", 1290, "HY000", "the server is read-only"};
    case Fault::kInRecovery: return {"0A000", 1290, "HY000", "the server is in recovery"};
    case Fault::kOutside: return {"25001", 1400, "XAE09", "the session is inside of another branch"};
    case Fault::kUnknownStatement: return {"42601", 1064, "42000", "the model does not know this statement"};
    case Fault::kConnectionLost: return {"57P01", 2013, "HY000", "the session was lost"};
  }
  return {};
}

}  // namespace

ClassifiedError refusal(DatabaseKind kind, Speaker speaker, Fault fault, const std::string& about) {
  const Codes codes = codes_of(kind, fault);
  const bool postgres = kind == DatabaseKind::kPostgres;
  DatabaseError reported;
  reported.sqlstate = postgres ? codes.postgres : codes.innodb_state;
  reported.vendor_code = postgres ? 0 : codes.innodb;
  reported.message = fmt::format("{}{}{}", codes.words, about.empty() ? "" : ": ", about);
  reported.connection_lost = fault == Fault::kConnectionLost;
  return classify_error(kind, speaker, reported);
}

}  // namespace troth::sim
