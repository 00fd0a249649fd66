#include "participant_agent/dialect/database_error.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

namespace troth::agent {
namespace {

struct StateMeaning {
  std::string_view sqlstate;  // five characters, or a class of two
  Meaning meaning;
};

struct VendorMeaning {
  std::int32_t code;
  Meaning meaning;
};

// PostgreSQL, appendix A; what each means around prepared transactions was tried on 15.18.
constexpr auto kPostgres = std::to_array<StateMeaning>({
    {"23505", Meaning::kDuplicateKey},
    {"55P03", Meaning::kLockTimeout},
    {"40P01", Meaning::kDeadlock},
    {"40001", Meaning::kSerialization},
    {"57014", Meaning::kCancelled},
    {"42704", Meaning::kUnknownXid},
    {"42710", Meaning::kDuplicateXid},
    {"55000", Meaning::kXidTied},
    {"55006", Meaning::kXidTied},
    {"25P02", Meaning::kDoomed},
    {"25P01", Meaning::kNotInTransaction},
    {"25006", Meaning::kReadOnlyTransaction},
    {"0A000", Meaning::kNotPreparable},
    {"42P01", Meaning::kNotInstalled},
    {"3F000", Meaning::kNotInstalled},
    {"57P01", Meaning::kConnectionLost},  // also while COMMIT PREPARED runs: look again
    {"57P02", Meaning::kConnectionLost},
    {"57P03", Meaning::kConnectionLost},
    {"57P05", Meaning::kConnectionLost},
    {"08", Meaning::kConnectionLost},
    {"53", Meaning::kServerBusy},
});

// MySQL 9.7 and MariaDB 10.11, error reference.
constexpr auto kInnodb = std::to_array<VendorMeaning>({
    {1062, Meaning::kDuplicateKey},
    {1586, Meaning::kDuplicateKey},
    {1205, Meaning::kLockTimeout},
    {3572, Meaning::kLockTimeout},  // NOWAIT
    {1213, Meaning::kDeadlock},
    {1020, Meaning::kSerialization},  // MariaDB: record has changed since last read
    {1317, Meaning::kCancelled},
    {1969, Meaning::kCancelled},  // MariaDB: max_statement_time
    {3024, Meaning::kCancelled},  // MySQL: max_execution_time
    {1397, Meaning::kUnknownXid},
    {1440, Meaning::kDuplicateXid},
    {1399, Meaning::kXidTied},
    {1400, Meaning::kImplicitCommit},  // XAER_OUTSIDE
    {1402, Meaning::kDoomed},
    {1613, Meaning::kDoomed},  // XA_RBTIMEOUT
    {1614, Meaning::kDeadlock},
    {1792, Meaning::kReadOnlyTransaction},
    {1290, Meaning::kReadOnlyServer},
    {1836, Meaning::kReadOnlyServer},
    {1146, Meaning::kNotInstalled},
    {1094, Meaning::kUnknownSession},
    {1040, Meaning::kServerBusy},
    {1203, Meaning::kServerBusy},
    {1226, Meaning::kServerBusy},
    {1053, Meaning::kConnectionLost},
    {1077, Meaning::kConnectionLost},
    {1152, Meaning::kConnectionLost},
    {1158, Meaning::kConnectionLost},
    {1159, Meaning::kConnectionLost},
    {1160, Meaning::kConnectionLost},
    {1161, Meaning::kConnectionLost},
    {1184, Meaning::kConnectionLost},
    {1927, Meaning::kConnectionLost},
    {2002, Meaning::kConnectionLost},
    {2003, Meaning::kConnectionLost},
    {2006, Meaning::kConnectionLost},
    {2013, Meaning::kConnectionLost},
    {2014, Meaning::kConnectionLost},  // commands out of sync: the session's state is unknown
    {2055, Meaning::kConnectionLost},
    {4031, Meaning::kConnectionLost},
});

Meaning meaning_in_postgres(const DatabaseError& reported) {
  // The loss may arrive without a code ("Could not obtain client encoding").
  if (reported.sqlstate.empty()) return Meaning::kConnectionLost;
  for (const auto& entry : kPostgres) {
    if (reported.sqlstate.starts_with(entry.sqlstate)) {
      const bool no_slot = entry.meaning == Meaning::kXidTied &&
                           reported.message.find("prepared transactions are disabled") != std::string::npos;
      return no_slot ? Meaning::kNoPreparedSlot : entry.meaning;
    }
  }
  return Meaning::kStatementRefused;
}

Meaning meaning_in_innodb(const DatabaseError& reported) {
  // A client's trigger or function has refused, and may have given that any number.
  if (reported.sqlstate.starts_with(kSignalled)) return Meaning::kStatementRefused;
  const auto found = std::ranges::find(kInnodb, reported.vendor_code, &VendorMeaning::code);
  if (found != kInnodb.end()) return found->meaning;
  if (reported.sqlstate.starts_with("08")) return Meaning::kConnectionLost;
  if (reported.vendor_code == 0 && reported.sqlstate.empty()) return Meaning::kConnectionLost;
  return Meaning::kStatementRefused;
}

// What the agent's own texts can mean, a client's cannot.
Meaning meaning_for_client(bool postgres, Meaning meaning) {
  switch (meaning) {
    case Meaning::kUnknownXid:
    case Meaning::kDuplicateXid:
    case Meaning::kNotInstalled:
    case Meaning::kNotPreparable:
    case Meaning::kNoPreparedSlot:
    case Meaning::kUnknownSession: return Meaning::kStatementRefused;
    case Meaning::kXidTied: return postgres ? Meaning::kStatementRefused : Meaning::kImplicitCommit;
    case Meaning::kStatementRefused:
    case Meaning::kDuplicateKey:
    case Meaning::kLockTimeout:
    case Meaning::kDeadlock:
    case Meaning::kSerialization:
    case Meaning::kCancelled:
    case Meaning::kImplicitCommit:
    case Meaning::kDoomed:
    case Meaning::kNotInTransaction:
    case Meaning::kReadOnlyTransaction:
    case Meaning::kReadOnlyServer:
    case Meaning::kServerBusy:
    case Meaning::kConnectionLost: return meaning;
  }
  return meaning;
}

struct Verdict {
  ErrorCode code;
  Effect effect;
  bool retryable;
};

Verdict verdict_on(Meaning meaning) {
  switch (meaning) {
    case Meaning::kStatementRefused:
    case Meaning::kDuplicateKey:
    case Meaning::kNotPreparable:
    case Meaning::kDoomed: return {ErrorCode::kStatementFailed, Effect::kNone, false};
    case Meaning::kLockTimeout:
    case Meaning::kDeadlock:
    case Meaning::kSerialization: return {ErrorCode::kConflict, Effect::kNone, true};
    case Meaning::kCancelled: return {ErrorCode::kTimeout, Effect::kNone, true};
    case Meaning::kImplicitCommit:
    case Meaning::kReadOnlyTransaction:
    case Meaning::kNotInTransaction: return {ErrorCode::kForbiddenStatement, Effect::kNone, false};
    case Meaning::kUnknownXid:
    case Meaning::kXidTied: return {ErrorCode::kUnavailable, Effect::kUnknown, true};
    case Meaning::kDuplicateXid: return {ErrorCode::kBusy, Effect::kNone, true};
    case Meaning::kNoPreparedSlot:
    case Meaning::kServerBusy: return {ErrorCode::kOverloaded, Effect::kNone, true};
    case Meaning::kReadOnlyServer:
    case Meaning::kNotInstalled:
    case Meaning::kUnknownSession: return {ErrorCode::kUnavailable, Effect::kNone, true};
    case Meaning::kConnectionLost: return {ErrorCode::kUnavailable, Effect::kUnknown, true};
  }
  return {ErrorCode::kInternal, Effect::kUnknown, false};
}

// The text between the last `quote` pair behind `marker`.
std::string quoted_behind(std::string_view message, std::string_view marker, char quote) {
  const auto at = message.find(marker);
  if (at == std::string_view::npos) return {};
  const auto from = at + marker.size();
  const auto end = message.find(quote, from);
  return end == std::string_view::npos ? std::string{} : std::string(message.substr(from, end - from));
}

}  // namespace

std::string_view name_of(Meaning meaning) {
  switch (meaning) {
    case Meaning::kStatementRefused: return "statement refused";
    case Meaning::kDuplicateKey: return "duplicate key";
    case Meaning::kLockTimeout: return "lock timeout";
    case Meaning::kDeadlock: return "deadlock";
    case Meaning::kSerialization: return "serialization failure";
    case Meaning::kCancelled: return "cancelled";
    case Meaning::kUnknownXid: return "unknown xid";
    case Meaning::kDuplicateXid: return "duplicate xid";
    case Meaning::kXidTied: return "xid tied";
    case Meaning::kImplicitCommit: return "implicit commit";
    case Meaning::kDoomed: return "doomed";
    case Meaning::kNotInTransaction: return "not in a transaction";
    case Meaning::kReadOnlyTransaction: return "read-only transaction";
    case Meaning::kReadOnlyServer: return "read-only server";
    case Meaning::kNotPreparable: return "not preparable";
    case Meaning::kNoPreparedSlot: return "no prepared slot";
    case Meaning::kNotInstalled: return "not installed";
    case Meaning::kUnknownSession: return "unknown session";
    case Meaning::kServerBusy: return "server busy";
    case Meaning::kConnectionLost: return "connection lost";
  }
  return "invalid";
}

std::string constraint_of(const DatabaseError& reported) {
  if (!reported.constraint.empty()) return reported.constraint;
  const std::string_view message = reported.message;
  if (auto name = quoted_behind(message, "for key '", '\''); !name.empty()) return name;
  if (auto name = quoted_behind(message, "CONSTRAINT `", '`'); !name.empty()) return name;
  if (auto name = quoted_behind(message, "Check constraint '", '\''); !name.empty()) return name;
  return quoted_behind(message, "constraint \"", '"');
}

ClassifiedError classify_error(DatabaseKind kind, Speaker speaker, const DatabaseError& reported) {
  const bool postgres = kind == DatabaseKind::kPostgres;
  ClassifiedError result;
  result.meaning = postgres ? meaning_in_postgres(reported) : meaning_in_innodb(reported);
  if (reported.connection_lost) result.meaning = Meaning::kConnectionLost;
  if (speaker == Speaker::kClient) result.meaning = meaning_for_client(postgres, result.meaning);
  const Verdict verdict = verdict_on(result.meaning);
  result.error.code = verdict.code;
  result.error.effect = verdict.effect;
  result.error.retryable = verdict.retryable;
  result.error.message = fmt::format("{}: {}", name_of(result.meaning), reported.message);
  result.error.sqlstate = reported.sqlstate;
  if (reported.vendor_code != 0) result.error.vendor_code = reported.vendor_code;
  result.error.constraint = constraint_of(reported);
  return result;
}

}  // namespace troth::agent
