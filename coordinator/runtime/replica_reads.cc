#include "coordinator/runtime/replica_reads.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "coordinator/runtime/reigns.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kMostWaiting = 10'000;
constexpr Duration kLongestWait = std::chrono::seconds(10);

std::unexpected<Error> cannot_tell(std::string why) {
  auto error = fail(ErrorCode::kUnavailable, Effect::kNone, std::move(why));
  error.error().retryable = true;
  return error;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto* end = text.data() + text.size();
  const auto [at, problem] = std::from_chars(text.data(), end, number);
  return problem == std::errc() && at == end && !text.empty();
}

}  // namespace

std::string ReadToken::text() const {
  return fmt::format("{}.{}", new_reign.value, position.value);
}

Result<ReadToken> ReadToken::parse(std::string_view text) {
  ReadToken token;
  const auto point = text.find('.');
  if (point != std::string_view::npos && read_number(text.substr(0, point), token.new_reign.value) &&
      read_number(text.substr(point + 1), token.position.value))
    return token;
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("'{}' is no session_token: send one back as it was given", text.substr(0, 64)));
}

ReadToken token_of(const store::Prefix& prefix) {
  return {prefix.new_reign, prefix.position};
}

ReplicaReads::ReplicaReads(asio::io_context& loop, store::GroupStore& store, ClusterId cluster)
    : store_(store), cluster_(std::move(cluster)), alarm_(loop, [this] { time_passed(); }) {}

void ReplicaReads::status(StatusSubject subject, store::Consistency consistency,
                          std::optional<ReadToken> token, Duration timeout, Done done) {
  const auto* id = std::get_if<TransactionId>(&subject);
  if (id != nullptr && id->cluster != cluster_) {
    return done(fail(ErrorCode::kUnknownTransaction, Effect::kNone,
                     fmt::format("{} belongs to cluster '{}', this is '{}'", id->text(), id->cluster.value,
                                 cluster_.value)));
  }
  if (id != nullptr && id->is_one_phase()) {
    StatusReport report;
    report.transaction = *id;
    report.detail =
        "it was committed in one phase, and only its resource knows: ask with consistency LINEARIZABLE";
    return done(Answer{std::move(report), token_of(store_.prefix())});
  }
  if (waiting_.size() >= kMostWaiting) {
    auto refused = fail(ErrorCode::kOverloaded, Effect::kNone, "too many status calls wait; ask again");
    refused.error().retryable = true;
    return done(std::move(refused));
  }
  if (token && token->new_reign < store_.prefix().new_reign) {
    return done(fail(
        ErrorCode::kStale, Effect::kNone,
        "the group was set back since this session_token was given (`troth cluster new-reign`): what it has "
        "seen may be gone; ask without it"));
  }
  const auto now = boot_now();
  // Of a history that has not come here: no slot of this one is it.
  const bool is_ahead = token && token->new_reign > store_.prefix().new_reign;
  if (is_ahead) return done(cannot_tell("what the session has seen has not come to this coordinator yet"));
  store::Lookup lookup{.key = subject, .consistency = consistency};
  if (token) lookup.seen = token->position;
  lookup.until = now + std::min(timeout, kLongestWait);
  const store::Ticket ticket{++last_ticket_};
  waiting_.emplace(ticket, Waiting{std::move(subject), lookup.until, std::move(done)});
  deadlines_.emplace(lookup.until, ticket);
  alarm_.set(deadlines_.begin()->first);
  store_.submit({{ticket, std::move(lookup)}});
}

void ReplicaReads::store_answered(std::vector<store::Answered>& answers) {
  std::erase_if(answers, [this](const store::Answered& answered) {
    if (!Reigns::is_of_no_reign(answered.ticket)) return false;
    if (auto waiting = waiting_.extract(answered.ticket)) {
      deadlines_.erase({waiting.mapped().until, answered.ticket});
      answer(waiting.mapped(), answered.answer);
    }
    return true;
  });
}

void ReplicaReads::answer(const Waiting& waiting, const store::StoreAnswer& answer) const {
  if (const auto* found = std::get_if<store::Found>(&answer))
    return waiting.done(Answer{report_of(waiting.subject, *found, false), token_of(found->prefix)});
  if (const auto* unknown = std::get_if<store::Unknown>(&answer))
    return waiting.done(cannot_tell(unknown->reason.message));
  waiting.done(cannot_tell("the decision store did not answer; ask again"));
}

void ReplicaReads::time_passed() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= boot_now()) {
    const auto ticket = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    auto waiting = waiting_.extract(ticket);
    store_.give_up(ticket);
    waiting.mapped().done(cannot_tell("no read quorum of the group answered this coordinator in time"));
  }
  if (!deadlines_.empty()) alarm_.set(deadlines_.begin()->first);
}

}  // namespace troth::coordinator
