#include "recovery/runtime/shell_transaction.h"

#include "base/check.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// A coordinator that is restarted is back before these are over.
constexpr int kTries = 10;
constexpr Duration kBetweenTries = std::chrono::seconds(1);
constexpr Duration kStateWait = std::chrono::seconds(5);

// The call ended without the coordinator's word about it; when it is the one who finds something unavailable,
// it names the resource.
bool is_without_answer(const Error& error) {
  return error.effect == Effect::kUnknown ||
         (error.code == ErrorCode::kUnavailable && error.resource.empty());
}

Error interrupted_error() {
  return fail(ErrorCode::kTimeout, Effect::kUnknown, "the wait for the answer was interrupted").error();
}

bool is_heuristic(wire::TransactionState::type state) {
  return state == wire::TransactionState::HEURISTIC_MIXED ||
         state == wire::TransactionState::HEURISTIC_COMMIT ||
         state == wire::TransactionState::HEURISTIC_ROLLBACK;
}

}  // namespace

TransactionMark ShellTransaction::mark() const {
  if (std::holds_alternative<Open>(state_)) return TransactionMark::kOpen;
  if (std::holds_alternative<Failed>(state_)) return TransactionMark::kFailed;
  if (std::holds_alternative<Unanswered>(state_)) return TransactionMark::kUnknown;
  return TransactionMark::kNone;
}

ShellTransaction::Outcome<std::monostate> ShellTransaction::begin(const std::string& label) {
  CHECK(mark() == TransactionMark::kNone || mark() == TransactionMark::kFailed);
  wire::BeginRequest request;
  request.__set_options(options_.begin);
  request.client_name = options_.client_name;
  if (!label.empty()) request.__set_label(label);
  id_.clear();
  auto begun = link_.call<wire::Transactions_begin_transaction>(request, kPromptly);
  if (!begun) {
    // Perhaps it was begun; nobody knows its id, so it ends by its idle time.
    state_ = None{};
    return Interrupted{};
  }
  if (!*begun) {
    state_ = Failed{};
    auto error = std::move(begun->error());
    error.effect = Effect::kNone;
    return Failure{std::move(error), Left::kOver};
  }
  id_ = (*begun)->transaction_id;
  state_ = Open{};
  return std::monostate{};
}

std::optional<wire::StatusReply> ShellTransaction::known_state() {
  for (int i = 0; i < kTries; ++i) {
    if (i > 0 && !link_.pause(kBetweenTries)) return std::nullopt;
    wire::StatusRequest request;
    request.__set_transaction_id(id_);
    request.client_name = options_.client_name;
    auto reply = link_.call<wire::Transactions_status>(request, kStateWait);
    if (!reply) return std::nullopt;
    if (*reply && (*reply)->state != wire::TransactionState::UNKNOWN) return std::move(**reply);
  }
  return std::nullopt;
}

ShellTransaction::Left ShellTransaction::what_is_left() {
  const auto status = known_state();
  if (!status) return Left::kNotKnown;
  if (status->state == wire::TransactionState::ACTIVE) return Left::kGoesOn;
  state_ = Failed{};
  return Left::kOver;
}

template <typename Method, typename Request>
ShellTransaction::Outcome<wire::QueryResult> ShellTransaction::ask(const Request& request) {
  for (int i = 0;; ++i) {
    auto answer = link_.call<Method>(request, options_.wait);
    if (!answer) return Interrupted{};
    if (*answer) return std::move(**answer);
    auto error = std::move(answer->error());
    const auto left = what_is_left();
    // The same number again is the same statement.
    if (is_without_answer(error) && left == Left::kGoesOn && i + 1 < kTries) {
      if (!link_.pause(kBetweenTries)) return Interrupted{};
      continue;
    }
    // Whatever the statement did, nothing of it is committed: nobody said so.
    error.effect = Effect::kNone;
    if (error.resource.empty()) error.resource = request.resource;
    if (!error.statement) error.statement = static_cast<std::uint32_t>(request.number);
    return Failure{std::move(error), left};
  }
}

std::int32_t ShellTransaction::number_in(const std::string& resource) const {
  const auto* open = std::get_if<Open>(&state_);
  if (open == nullptr) return 0;
  const auto found = open->answered.find(resource);
  return found == open->answered.end() ? 0 : found->second;
}

ShellTransaction::Outcome<wire::QueryResult> ShellTransaction::query(const std::string& resource,
                                                                     const std::string& sql,
                                                                     std::int64_t page_rows) {
  CHECK(is_open());
  wire::QueryRequest request;
  request.transaction_id = id_;
  request.client_name = options_.client_name;
  request.resource = resource;
  request.number = number_in(resource) + 1;
  request.statement.sql = sql;
  if (page_rows > 0) request.__set_page_rows(page_rows);
  auto outcome = ask<wire::Transactions_query>(request);
  if (std::holds_alternative<wire::QueryResult>(outcome))
    std::get<Open>(state_).answered[resource] = request.number;
  return outcome;
}

ShellTransaction::Outcome<wire::QueryResult> ShellTransaction::fetch(const std::string& resource,
                                                                     std::int64_t from_row,
                                                                     std::int64_t page_rows) {
  CHECK(is_open());
  wire::FetchRequest request;
  request.transaction_id = id_;
  request.client_name = options_.client_name;
  request.resource = resource;
  request.number = number_in(resource);
  request.from_row = from_row;
  if (page_rows > 0) request.__set_page_rows(page_rows);
  return ask<wire::Transactions_fetch>(request);
}

ShellTransaction::CommitOutcome ShellTransaction::commit() {
  CHECK(mark() == TransactionMark::kOpen || mark() == TransactionMark::kUnknown);
  wire::CommitRequest request;
  request.transaction_id = id_;
  request.client_name = options_.client_name;
  // One that got no answer may still be on its way, and arrive later.
  bool on_its_way = mark() == TransactionMark::kUnknown;
  Error last;
  for (int i = 0; i < kTries; ++i) {
    if (i > 0 && !link_.pause(kBetweenTries)) {
      state_ = Unanswered{};
      return NotKnown{interrupted_error(), true};
    }
    auto answer = link_.call<wire::Transactions_commit>(request, options_.wait);
    if (answer && *answer) {
      state_ = None{};
      return Committed{std::move(**answer)};
    }
    if (!answer) {
      state_ = Unanswered{};
      return NotKnown{interrupted_error(), true};
    }
    last = std::move(answer->error());
    const auto status = known_state();
    if (!status) break;
    if (is_heuristic(status->state)) {
      state_ = None{};
      return Mixed{*status};
    }
    switch (status->state) {
      case wire::TransactionState::NOT_COMMITTED:
        state_ = None{};
        if (is_without_answer(last) && !status->detail.empty()) last.message += "; " + status->detail;
        last.effect = Effect::kNone;
        return NotCommitted{std::move(last)};
      case wire::TransactionState::ACTIVE:
        // It came to nothing, and the coordinator says why; without its word, it is asked again.
        if (!is_without_answer(last) && !on_its_way) return GoesOn{std::move(last)};
        break;
      default: break;  // under way, or decided: its own answer tells more than the state
    }
    on_its_way = on_its_way || is_without_answer(last);
  }
  state_ = Unanswered{};
  last.effect = Effect::kUnknown;
  return NotKnown{std::move(last), false};
}

Status ShellTransaction::roll_back() {
  CHECK(is_open());
  state_ = None{};
  wire::RollbackRequest request;
  request.transaction_id = id_;
  request.client_name = options_.client_name;
  auto answer = link_.call<wire::Transactions_rollback>(request, kPromptly);
  if (!answer) return std::unexpected(interrupted_error());
  if (*answer || answer->error().code == ErrorCode::kUnknownTransaction) return {};
  return std::unexpected(std::move(answer->error()));
}

void ShellTransaction::forget() {
  CHECK(!is_open());
  state_ = None{};
}

void ShellTransaction::fail() {
  CHECK(!is_open());
  state_ = Failed{};
}

std::optional<Result<wire::StatusReply>> ShellTransaction::status() {
  wire::StatusRequest request;
  request.__set_transaction_id(id_);
  request.client_name = options_.client_name;
  return link_.call<wire::Transactions_status>(request, kPromptly);
}

}  // namespace troth::recovery
